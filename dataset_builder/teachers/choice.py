"""Which teachers a build's settings name, and how those that are language models rank."""

from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.chat import Sampling
from dataset_builder.teacher_name import ENSEMBLE, OPENAI, POINTWISE, Member, TeacherName, ensemble_name
from dataset_builder.teachers.listwise import ListwiseSettings
from dataset_builder.teachers.llm_teacher import RankingMethod
from dataset_builder.teachers.pointwise import PointwiseSettings
from dataset_builder.teachers.prompt import AUTO, TEXT, ListwisePrompt


def teachers_of(settings: BuildSettings) -> list[TeacherName]:
    """The teacher of a build; of an ensemble its members, retrieval methods among them."""
    teacher = TeacherName.parse(settings.teacher)
    return [each.teacher for each in members_of(settings)] if teacher.kind == ENSEMBLE else [teacher]


def members_of(settings: BuildSettings) -> list[Member]:
    """The members of a build's ensemble."""
    return [Member.parse(text) for text in settings.ensemble]


def teacher_column(settings: BuildSettings) -> str:
    """What the dataset's `teacher` column says."""
    teacher = TeacherName.parse(settings.teacher)
    if teacher.kind == ENSEMBLE:
        return ensemble_name(members_of(settings))
    return ranking_method(teacher, settings).name if teacher.is_language_model else str(teacher)


def ranking_method(teacher: TeacherName, settings: BuildSettings) -> RankingMethod:
    """How a language model ranks the pools of a build."""
    if teacher.kind == POINTWISE:
        return PointwiseSettings(teacher.model, settings.max_words)
    return ListwiseSettings(
        teacher.model,
        window_size=settings.window_size,
        step=settings.step,
        shuffle=settings.shuffle,
        num_rankings=settings.num_rankings,
        seed=settings.seed,
        answer_format=_answer_format(teacher, settings),
        prompt=ListwisePrompt(max_words=settings.max_words),
        sampling=Sampling(
            settings.temperature,
            settings.max_tokens,
            reasoning_effort=settings.reasoning_effort,
            thinking_budget=settings.thinking_budget,
        ),
    )


def _answer_format(teacher: TeacherName, settings: BuildSettings) -> str:
    """Under `auto` a live server is asked what it can do; a batch cannot wait for that, and no schema binds a model
    that runs here."""
    return TEXT if settings.answer_format == AUTO and teacher.kind != OPENAI else settings.answer_format
