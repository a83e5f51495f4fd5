"""The models that a build's weights are read from: its sources, and a part of its identity."""

from dataset_builder.build.settings import BuildSettings
from dataset_builder.pools.methods import models_of_methods
from dataset_builder.queries.drawing import models_of_queries
from dataset_builder.teacher_name import TeacherName
from dataset_builder.teachers.choice import teachers_of
from retrieval.model_files import gguf_file


def models_of(settings: BuildSettings) -> list[str]:
    """Each model once, by Hub name or folder, whose weights this build uses."""
    names = [
        *models_of_methods(settings),
        *models_of_queries(settings),
        *(name for each in teachers_of(settings) for name in each.weights),
        *models_of_writers(settings),
    ]
    return list(dict.fromkeys(names))


def models_of_writers(settings: BuildSettings) -> list[str]:
    """The language model that writes queries, if its weights are read here."""
    if not settings.asked_writer:
        return []
    writer = TeacherName.parse(settings.asked_writer)
    return [writer.model] if writer.weights or gguf_file(writer.model) else []
