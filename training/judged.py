"""nDCG@10 on a judged collection: whether what a student learns of a teacher carries over."""

from dataclasses import dataclass
from pathlib import Path

from evaluation.collections import JudgedCollection, load_collection
from evaluation.first_stage import Candidates, retrieve
from evaluation.measures import MAIN_MEASURE, per_query
from modeling_twolar import TwolarForReranking
from retrieval.trec_run import ordered
from training.flags import DataArguments


@dataclass(frozen=True, slots=True)
class JudgedRanking:
    """A collection and the candidates that a student is to rank."""

    collection: JudgedCollection
    candidates: Candidates

    @classmethod
    def load(cls, arguments: DataArguments, work: Path) -> "JudgedRanking":
        """The collection of `--eval_collection`, its candidates from `--eval_first_stage`; `work` keeps indexes.

        Raises:
            InputError: for a collection or run that cannot be read.
        """
        folder, split = Path(str(arguments.eval_collection)), arguments.eval_collection_split
        collection = load_collection(folder, split, arguments.eval_corpus, None)
        stage = arguments.eval_first_stage
        return cls(collection, retrieve(collection, stage, arguments.eval_top_k, work))

    def ndcg_at_10(self, model: TwolarForReranking) -> dict[str, float]:
        """Each judged query's nDCG@10, of the candidates in the order of the model's scores."""
        scores = model.score(self.candidates.pairs(self.collection.queries)).tolist()
        by_query: dict[str, dict[str, float]] = {}
        for (query_id, docid), score in zip(self.candidates.keys, scores, strict=True):
            by_query.setdefault(query_id, {})[docid] = score
        run = {query_id: ordered(found) for query_id, found in by_query.items()}
        return per_query(self.collection.qrels, run)[MAIN_MEASURE]
