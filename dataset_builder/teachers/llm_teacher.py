"""A language model as a teacher: each pool is a conversation, listwise or pointwise, which ends in its order."""

from collections.abc import Iterable, Iterator, Sequence
from dataclasses import replace
from functools import partial
from typing import Protocol

from dataset_builder.build.folder import read_examples, write_examples
from dataset_builder.language_models.chat import ChatAnswer, ChatRequest
from dataset_builder.language_models.conversation import Conversation, LanguageModel, Rejection
from dataset_builder.ranking_example import RankingExample, RetrievedPassage
from dataset_builder.teachers import TeacherAnswer, labelled
from retrieval.records import Passage, Query

Ranking = Conversation[TeacherAnswer]
# How often the passages of a prompt that is too long are halved.
CUTS = 4


class RankingMethod(Protocol):
    """How a language model is asked to rank: listwise or pointwise, with its prompt."""

    @property
    def name(self) -> str:
        """What the dataset's `teacher` column says."""
        ...

    def begin(self, example: RankingExample) -> Ranking:
        """The conversation that ranks the example's pool."""
        ...


def ranking(method: RankingMethod, example: RankingExample) -> Ranking:
    """The conversation that ranks the example's pool as `method` says.

    What the method does not make up for itself ends here: where a prompt is too long it is asked again with each
    passage cut to half of what was shown; the answers before it stand. A pool whose request is rejected all the same,
    or for another reason, gets no order: `rejected`.
    """
    answers: list[ChatAnswer | Rejection] = []
    for _ in range(CUTS + 1):
        step: ChatRequest | None = None
        try:
            talk = method.begin(example)
            step = next(talk)
            for answer in answers:
                step = _reply(talk, answer)
            while True:
                answers.append((yield from _outcome(step)))
                step = _reply(talk, answers[-1])
        except StopIteration as done:
            return done.value
        except Rejection as rejection:
            if not rejection.too_long or step is None:
                break
            answers.pop()
            example = _cut(example, _longest_shown(step, example) // 2)
    return TeacherAnswer(None, "rejected")


def _outcome(request: ChatRequest) -> Conversation[ChatAnswer | Rejection]:
    try:
        return (yield request)
    except Rejection as rejection:
        return rejection


def _reply(talk: Ranking, answer: ChatAnswer | Rejection) -> ChatRequest:
    return talk.throw(answer) if isinstance(answer, Rejection) else talk.send(answer)


def _longest_shown(request: ChatRequest, example: RankingExample) -> int:
    """At most how many characters of a passage a request shows: the longest, or an even part of the prompt."""
    longest = max(len(found.passage.contents) for found in example.passages)
    prompt = sum(len(message.content) for message in request.messages)
    return min(longest, prompt // max(1, request.num_listed))


def _cut(example: RankingExample, longest: int) -> RankingExample:
    passages = (replace(found, passage=_cut_passage(found.passage, longest)) for found in example.passages)
    return replace(example, passages=tuple(passages))


def _cut_passage(passage: Passage, longest: int) -> Passage:
    title = passage.title[: longest // 2]
    return replace(passage, title=title, text=passage.text[: max(1, longest - len(title))])


class LLMTeacher:
    """Ranks pools by asking `model` as `method` says."""

    def __init__(self, method: RankingMethod, model: LanguageModel) -> None:
        self.method = method
        self.model = model
        self.name = method.name

    def label(self, examples: Iterable[RankingExample]) -> Iterator[RankingExample]:
        """See `Teacher.label`. An example without a usable order comes out with `teacher_order` None.

        Raises:
            InputError, BudgetReached: see `LanguageModel.converse`.
        """
        waiting = self.model.waiting
        if waiting is not None:
            write_examples(waiting, examples)
        pools = (lambda: examples) if waiting is None else (lambda: read_examples(waiting))
        for example, answer in self.model.converse(pools, partial(ranking, self.method)):
            yield labelled(example, answer, self.name)

    def order(self, query: str, passages: Sequence[Passage]) -> TeacherAnswer:
        """Rank one pool, given in first-stage order."""
        pool = tuple(RetrievedPassage(passage, rank, 0.0) for rank, passage in enumerate(passages, start=1))
        (example,) = self.label([RankingExample(Query("", query), "", pool)])
        return TeacherAnswer(example.teacher_order, example.label_status, example.teacher_scores)
