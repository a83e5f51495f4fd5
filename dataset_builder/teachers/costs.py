"""What a build's language models have cost, and what they will."""

from dataset_builder.build.folder import BuildFolder, all_pools
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.cost import Budget, estimate
from dataset_builder.teacher_name import BATCH, TeacherName
from dataset_builder.teachers.choice import ranking_method, teachers_of
from retrieval.errors import InputError


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
    with AnswerCache(access.answer_folder(folder)) as cache:
        return "; ".join(f"{each}: {Budget(cache, each.model, access.price(each.model))}" for each in asked)


def estimate_labelling(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> str:
    """What the language models among the teachers will still cost over a build's pools; sends nothing.

    Raises:
        InputError: for teachers that are none and cost nothing.
    """
    asked = [teacher for teacher in teachers_of(settings) if teacher.is_language_model]
    if not asked:
        raise InputError(f"--dry_run estimates a language model's cost; {settings.teacher} has none")
    lines = []
    with AnswerCache(access.answer_folder(folder)) as cache:
        for teacher in asked:
            conversations = map(ranking_method(teacher, settings).begin, all_pools(folder))
            price, is_batch = access.price(teacher.model), teacher.kind == BATCH
            lines.append(f"{teacher}: {estimate(conversations, cache, price, is_batch)}")
    return "\n".join(lines)
