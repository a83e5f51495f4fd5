"""What the page and the API ask of the checkpoints and the bundled passages, all loaded once."""

from pathlib import Path
from typing import TypedDict

import gradio as gr
from blind_vote import NUM_SHOWN, Ballot, Better, Order, Vote
from loading import CHECKPOINT, DATASET, SECOND_CHECKPOINT, Checkpoint, is_zero_gpu, load_checkpoint
from passages import (
    InputError,
    distinct_passages,
    example_queries,
    listed_passages,
    load_rankings,
    pasted_passages,
    uploaded_passages,
)
from reranking import Collection, Reranking, reordered, rerank
from results_html import BM25, NearestWords, blind_html, problem_html, results_html, voted_html

# Which of them are answered: tests/spaces_demo/test_space_examples.py.
EXAMPLES = [
    "how do I keep only the last n items seen",
    "run a shell command and get its output as text",
    "parse an ISO date string",
    "which words appear most often in a text",
    "dictionary that creates an empty list when I touch a key that isn't there yet",
]
WHAT_EXAMPLES_ARE = "Examples: the first 5 of the evaluation’s 159 test questions, answered or not"
WHAT_OTHERS_ARE = "Examples: the first queries of the dataset’s last split"
BUNDLED, OWN = "bundled", "own"

Skipped = dict[str, str]


class RankedPassage(TypedDict):
    """A passage in the answer of `/rerank`."""

    rank: int
    docid: str
    title: str
    text: str
    score: float
    bm25_rank: int | None
    cosine_rank: int | None


class Demo:
    """The checkpoints, the bundled passages, and the questions that the page offers."""

    def __init__(self, model_name: str, dataset_name: str, second_name: str = "") -> None:
        models = {model_name: CHECKPOINT.load(model_name, load_checkpoint)}
        if second_name:
            models[second_name] = SECOND_CHECKPOINT.load(second_name, load_checkpoint)
        splits = DATASET.load(dataset_name, load_rankings)
        # Whoever publishes it: an organisation's own copy has the same passages.
        is_default = Path(dataset_name).name == Path(DATASET.default).name
        self.examples, self.what_examples_are = (
            (EXAMPLES, WHAT_EXAMPLES_ARE) if is_default else (example_queries(splits), WHAT_OTHERS_ARE)
        )
        self.bundled = Collection.of(dataset_name, distinct_passages(splits), is_bundled=True)
        self._first, *others = (Checkpoint(name, model, self.bundled) for name, model in models.items())
        self._others = {checkpoint.name: checkpoint for checkpoint in others}
        self.others = [BM25, *self._others]
        self.opening = "" if is_zero_gpu() else self.page(self.examples[0])

    @property
    def model_name(self) -> str:
        """The checkpoint's, as it was given."""
        return self._first.name

    def page(
        self,
        query: str | None,
        source: str = BUNDLED,
        pasted: str | None = None,
        upload: str | None = None,
        other: str = BM25,
    ) -> str:
        """The results as HTML; what is wrong with the input, in their place. An untouched field is None."""
        try:
            reranking = self._asked(query, source, pasted, upload)
            return self._results(reranking, self._second(other, reranking))
        except InputError as error:
            return problem_html(str(error))

    def blind_page(
        self, query: str | None, source: str, pasted: str | None, upload: str | None, other: str
    ) -> tuple[str, Ballot | None]:
        """As `page`, but which order is whose is not told before the vote; no ballot where the input is wrong."""
        try:
            reranking = self._asked(query, source, pasted, upload)
        except InputError as error:
            return problem_html(str(error)), None
        second = self._second(other, reranking)
        beside = second[1].passages if second else reranking.in_bm25_order()
        orders = Order(self.model_name, reranking.passages[:NUM_SHOWN]), Order(other, beside[:NUM_SHOWN])
        ballot = Ballot.of(reranking, second, *orders)
        return blind_html(ballot), ballot

    def voted_page(self, ballot: Ballot, better: Better, votes: list[Vote]) -> tuple[str, list[Vote]]:
        """The results, now with names, and all votes with this one."""
        votes = [*votes, ballot.vote(better)]
        return voted_html(ballot, better, votes) + self._results(ballot.reranking, ballot.second), votes

    def linked_page(self, request: gr.Request) -> tuple[str | Skipped, str | Skipped]:
        """The query that the page's address asks for (`?q=`), and its results."""
        query = request.query_params.get("q")
        if not query:
            return gr.skip(), gr.skip()  # an empty text would wipe out what the visitor has begun to type
        return query, self.page(query)

    def rerank(self, query: str, passages: list[str] | None = None, top_k: int = 10) -> list[RankedPassage]:
        """Rank passages by their relevance to a query.

        Args:
            query: a question or a few words.
            passages: texts to rank, `docid` being their number, from 1; of more than 50, BM25's best 50 are
                ranked. Without them, the bundled collection is searched.
            top_k: how many of the best passages to return.

        Returns:
            Passages, most relevant first, with TWOLAR's rank (from 1) and score, and their ranks among all
            by BM25 (none without a shared word) and by cosine (none for texts given here).
        """
        try:
            collection = self.bundled if passages is None else Collection.of("", listed_passages(passages))
            if not isinstance(top_k, int) or top_k < 1:
                raise InputError(f"top_k is {top_k!r}; give a whole number from 1 on.")
            ranked = self._search(query, collection).passages[:top_k]
        except InputError as error:
            raise gr.Error(str(error), print_exception=False) from error
        return [
            RankedPassage(
                rank=entry.rank,
                docid=entry.passage.docid,
                title=entry.passage.title,
                text=entry.passage.text,
                score=entry.score,
                bm25_rank=entry.bm25_rank,
                cosine_rank=entry.cosine_rank,
            )
            for entry in ranked
        ]

    def _asked(self, query: str | None, source: str, pasted: str | None, upload: str | None) -> Reranking:
        collection = self.bundled if source == BUNDLED else own_collection(pasted or "", upload)
        return self._search(query or "", collection)

    def _results(self, reranking: Reranking, second: tuple[str, Reranking] | None) -> str:
        return results_html(reranking, second, self._nearest(reranking))

    def _second(self, other: str, reranking: Reranking) -> tuple[str, Reranking] | None:
        """The same candidates in the order of the checkpoint of this name; None for BM25."""
        second = self._others.get(other)
        if second is None:
            return None
        return second.name, reordered(reranking, second.name, second.over(reranking.collection))

    def _nearest(self, reranking: Reranking) -> NearestWords:
        scorer = self._first.over(reranking.collection)
        shown = [ranked.index for ranked in reranking.passages[:NUM_SHOWN]]
        return {index: scorer.nearest(reranking.query, index) for index in shown}

    def _search(self, query: str, collection: Collection) -> Reranking:
        return rerank(query, collection, self._first.over(collection))


def own_collection(pasted: str, upload: str | None) -> Collection:
    """A visitor's own passages.

    Raises:
        InputError: where there are none, and for those that cannot be used.
    """
    file = Path(upload) if upload else None
    passages = pasted_passages(pasted)
    names = ["the pasted passages"] if passages else []
    if file:
        passages += uploaded_passages(file)
        names.append(file.name)
    if not passages:
        raise InputError("There are no passages of your own yet; paste some, or upload a file.")
    return Collection.of(" and ".join(names), passages)
