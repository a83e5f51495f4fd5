"""Opens the teacher that a build's settings name, with the answers it has already given."""

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess, check_language_model, open_language_model
from dataset_builder.pools.methods import open_retrievers
from dataset_builder.teacher_name import (
    ENSEMBLE,
    FUSION,
    LIKELIHOOD,
    RERANKER,
    RETRIEVER,
    RUN,
    TeacherName,
    ensemble_name,
)
from dataset_builder.teachers import Teacher
from dataset_builder.teachers.choice import members_of, ranking_method, teachers_of
from dataset_builder.teachers.ensemble import EnsembleTeacher, RetrieverTeacher
from dataset_builder.teachers.fusion import FusionTeacher
from dataset_builder.teachers.llm_teacher import LLMTeacher
from dataset_builder.teachers.reranker import check_model, open_reranker
from retrieval.errors import InputError
from retrieval.model_files import gguf_file


def check_teacher(settings: BuildSettings, access: TeacherAccess) -> None:
    """Find what is wrong with a teacher before a build begins.

    Raises:
        InputError: for an unknown teacher, a model that is not there, settings out of range, a cap without a
            price, a missing key, or an ensemble of nothing.
    """
    if settings.ensemble and TeacherName.parse(settings.teacher).kind != ENSEMBLE:
        raise InputError(f"--ensemble needs --teacher {ENSEMBLE}, not {settings.teacher!r}")
    teachers = teachers_of(settings)
    if not teachers:
        raise InputError(
            f"an {ENSEMBLE} of nothing; give its members, for instance --ensemble reranker:all-MiniLM-L6-v2 bm25=0.5"
        )
    for teacher in teachers:
        _check(teacher, settings, access)


def _check(teacher: TeacherName, settings: BuildSettings, access: TeacherAccess) -> None:
    if teacher.kind == RUN:
        raise InputError("rankings that exist already come in by python -m dataset_builder import-runs")
    if teacher.kind == RETRIEVER and teacher.model not in settings.retrievers:
        raise InputError(
            f"{teacher.model} of --ensemble is not among --retrievers {' '.join(settings.retrievers)}"
        )
    if teacher.kind in (RERANKER, LIKELIHOOD) and gguf_file(teacher.model) is None:
        check_model(teacher)
    if teacher.is_language_model:
        ranking_method(teacher, settings)
        check_language_model(teacher, access)


@contextmanager
def open_teacher(
    folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, rank: int = 0, world_size: int = 1
) -> Iterator[Teacher]:
    """The teacher that `settings.teacher` names, for task `rank` of `world_size`.

    Raises:
        InputError: for a teacher that is not known, or cannot be reached or loaded.
    """
    name = TeacherName.parse(settings.teacher)
    with ExitStack() as opened:
        opener = _Opener(folder, settings, access, rank, world_size, opened)
        if name.kind == ENSEMBLE:
            members = members_of(settings)
            teachers = [(opener.open(each.teacher), each.weight) for each in members]
            yield EnsembleTeacher(ensemble_name(members), teachers)
        else:
            yield opener.open(name)


@dataclass(frozen=True, slots=True)
class _Opener:
    """Opens teachers; `opened` closes what they need."""

    folder: BuildFolder
    settings: BuildSettings
    access: TeacherAccess
    rank: int
    world_size: int
    opened: ExitStack

    def open(self, teacher: TeacherName) -> Teacher:
        if teacher.kind == RUN:
            raise InputError(f"the rankings of {self.folder.root} were imported; it has no teacher to ask")
        if teacher.kind == FUSION:
            return FusionTeacher(open_retrievers(self.folder, self.settings))
        if teacher.kind == RETRIEVER:
            return RetrieverTeacher(*open_retrievers(self.folder, self.settings, [teacher.model]))
        if teacher.kind == RERANKER:
            return open_reranker(teacher.model)
        if teacher.kind == LIKELIHOOD:
            from dataset_builder.teachers.likelihood import open_likelihood

            return open_likelihood(teacher.model)
        method = ranking_method(teacher, self.settings)
        jobs = self.folder.batches(self.rank, self.world_size)
        earlier = self.folder.batches_of_other_runs(self.world_size)
        model = open_language_model(teacher, self.access, self.folder, jobs, earlier)
        return LLMTeacher(method, self.opened.enter_context(model))
