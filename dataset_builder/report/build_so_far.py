"""A build's pools as far as they came, and what language models said of them."""

from collections.abc import Container, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

from dataset_builder.build.folder import BuildFolder, read_examples
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.conversation import replay
from dataset_builder.ranking_example import RankingExample
from dataset_builder.report.windows import Talk, talk_with
from dataset_builder.teachers import TeacherAnswer, labelled
from dataset_builder.teachers.choice import ranking_method, teachers_of
from dataset_builder.teachers.llm_teacher import RankingMethod, ranking
from retrieval.errors import InputError


@dataclass(frozen=True, slots=True)
class BuildSoFar:
    """`methods`: how each language model among the teachers ranks. `answers`: theirs so far. `teacher`: the method of
    a build whose teacher is one language model."""

    folder: BuildFolder
    methods: tuple[RankingMethod, ...]
    answers: AnswerCache
    teacher: RankingMethod | None

    def examples(self, query_ids: Container[str] | None = None) -> Iterator[RankingExample]:
        """Each pool once, or those of the named queries, with its label where the answers for it are there.

        A task writes its labels when all are done; until then they are read off the answers, as it will do.
        """
        pools, rankings = self.folder.pools(0).parent, self.folder.rankings(0).parent
        names = {path.name for stage in (pools, rankings) for path in stage.glob("*.jsonl")}
        for name in sorted(names):
            is_labelled = (rankings / name).is_file()
            for example in read_examples((rankings if is_labelled else pools) / name):
                if query_ids is None or example.query.query_id in query_ids:
                    yield example if is_labelled else self._labelled(example)

    def talks(self, example: RankingExample) -> tuple[Talk, ...]:
        """What each language model was asked about a pool."""
        return tuple(talk_with(method, example, self.answers) for method in self.methods)

    def _labelled(self, pool: RankingExample) -> RankingExample:
        if self.teacher is None:
            return pool
        try:
            _, end = replay(ranking(self.teacher, pool), self.answers)
        except InputError:  # an answer that stops the build
            return pool
        return labelled(pool, end, self.teacher.name) if isinstance(end, TeacherAnswer) else pool


@contextmanager
def open_build(folder: BuildFolder, settings: BuildSettings, access: TeacherAccess) -> Iterator[BuildSoFar]:
    """The build in `folder`, with the answers that `access` names."""
    teachers = teachers_of(settings)
    methods = tuple(ranking_method(each, settings) for each in teachers if each.is_language_model)
    with AnswerCache(access.answer_folder(folder)) as answers:
        yield BuildSoFar(folder, methods, answers, methods[0] if methods and len(teachers) == 1 else None)
