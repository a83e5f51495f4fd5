"""What a build's language models have cost, and what they will."""

from collections.abc import Callable, Iterable, Iterator
from functools import partial

from dataset_builder.build.folder import BuildFolder, all_pools
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess, open_budget
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.cost import Estimate, estimate
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teacher_name import BATCH, TeacherName
from dataset_builder.teachers.choice import ranking_method, teachers_of
from dataset_builder.teachers.llm_teacher import ranking


def language_models_of(settings: BuildSettings) -> list[TeacherName]:
    """The language models, each once, that a build asks: its teachers and its writer of queries."""
    writer = [TeacherName.parse(settings.asked_writer)] if settings.asked_writer else []
    asked = [each for each in [*teachers_of(settings), *writer] if each.is_language_model]
    return list({each.model: each for each in asked}.values())


def describe_cost(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> str:
    """What language models' answers in a build's folder of answers have cost; "" where none is asked."""
    asked = language_models_of(settings)
    if not asked or not access.answer_folder(folder).is_dir():
        return ""
    described = []
    for each in asked:
        with open_budget(each, access, folder) as budget:
            described.append(f"{each}: {budget.describe()}")
    return "; ".join(described)


def estimate_labelling(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> str:
    """What the language models among the teachers will still cost over a build's pools; sends nothing."""
    lines = [
        f"{teacher}: {each}"
        for teacher, each in estimates(folder, settings, access, lambda: all_pools(folder))
    ]
    return "\n".join(lines) or f"{settings.teacher} costs nothing"


def estimates(
    folder: BuildFolder,
    settings: BuildSettings,
    access: TeacherAccess,
    pools: Callable[[], Iterable[RankingExample]],
) -> Iterator[tuple[TeacherName, Estimate]]:
    """What each of the language models among the teachers will still cost over `pools`."""
    with AnswerCache(access.answer_folder(folder)) as cache:
        for teacher in teachers_of(settings):
            if teacher.is_language_model:
                conversations = map(partial(ranking, ranking_method(teacher, settings)), pools())
                price, is_batch = access.price(teacher.model), teacher.kind == BATCH
                yield teacher, estimate(conversations, cache, price, is_batch)
