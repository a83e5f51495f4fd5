"""What a task of each stage needs of a cluster's machine."""

from dataclasses import dataclass
from math import ceil

from dataset_builder.build.execution import Execution
from dataset_builder.build.settings import LLM_QUERY, BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pools.methods import models_of_methods
from dataset_builder.queries.drawing import models_of_queries, query_writer
from dataset_builder.teacher_name import FUSION, RETRIEVER
from dataset_builder.teachers.choice import teachers_of


@dataclass(frozen=True, slots=True)
class Resources:
    """Of one task. `memory`: in GB."""

    memory: int
    cpus: int = 1
    gpus: int = 0

    @property
    def memory_a_cpu(self) -> int:
        """In GB, rounded up: how Slurm and Ray are asked for memory."""
        return ceil(self.memory / self.cpus)


# Streams files, or waits for a server.
LIGHT = Resources(memory=2)


def encoding(execution: Execution) -> Resources:
    """Of a model that encodes passages."""
    return _heavy(execution, runs_models=True)


def indexing(execution: Execution) -> Resources:
    """Of putting what is encoded, or the passages themselves, into an index."""
    return _heavy(execution, runs_models=False)


def querying(settings: BuildSettings, access: TeacherAccess, execution: Execution) -> Resources:
    """Of drawing queries: much only where a model here writes them, or a retrieval method checks them."""
    checks = bool(settings.consistency_retriever) and settings.writes_queries
    writer = query_writer(settings) if LLM_QUERY in settings.query_shares() else None
    writes = bool(models_of_queries(settings) or (writer and writer.weights))
    embedded = writer is not None and access.is_embedded(writer.model)
    return _heavy(execution, runs_models=writes or checks) if writes or checks or embedded else LIGHT


def pooling(settings: BuildSettings, execution: Execution) -> Resources:
    """Of filling pools, which loads an index and its models."""
    return _heavy(execution, runs_models=bool(models_of_methods(settings)))


def labelling(settings: BuildSettings, access: TeacherAccess, execution: Execution) -> Resources:
    """Of the teacher: much where it runs here, little where a server is asked."""
    teachers = teachers_of(settings)
    searches = any(teacher.kind in (FUSION, RETRIEVER) for teacher in teachers)
    models = [name for teacher in teachers for name in teacher.weights]
    models += models_of_methods(settings) if searches else []
    embedded = any(each.is_language_model and access.is_embedded(each.model) for each in teachers)
    return _heavy(execution, runs_models=bool(models)) if models or searches or embedded else LIGHT


def _heavy(execution: Execution, runs_models: bool) -> Resources:
    return Resources(execution.memory, execution.cpus, execution.gpus if runs_models else 0)
