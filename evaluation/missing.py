"""What is missing from a collection, its judgments and the runs over it: counted, and said beside the measures."""

from collections.abc import Mapping, Sequence

from evaluation.collections import JudgedCollection
from evaluation.prebuilt import PrebuiltCorpus
from retrieval.passage_store import PassageStore
from retrieval.trec_run import Run


def missing_from(
    collection: JudgedCollection, passages: PassageStore | PrebuiltCorpus, runs: Mapping[str, Run]
) -> list[str]:
    """A sentence for each thing that is missing; `runs`: by the system's name, the first stage's first."""
    judged = [docid for grades in collection.qrels.values() for docid in grades]
    num_zero = sum(max(grades.values()) <= 0 for grades in collection.qrels.values())
    num_queries = len(collection.queries)
    said = [
        (num_empty(passages), "passages of the corpus have neither title nor text and were left out."),
        (
            num_zero,
            f"of {num_queries} queries have no relevant passage: all their grades are 0, and so is each measure.",
        ),
        (_num_unknown(judged, passages), "judged passages are not in the corpus."),
    ]
    for position, (name, run) in enumerate(runs.items()):
        docids = [hit.docid for hits in run.values() for hit in hits]
        left_out = " and were left out" if position == 0 else ""
        said += [
            (
                num_queries - sum(map(bool, run.values())),
                f"of {num_queries} queries have no passage in {name} and count as 0.",
            ),
            (_num_unknown(docids, passages), f"passages that {name} ranks are not in the corpus{left_out}."),
        ]
    return [f"{count:,} {what}" for count, what in said if count]


def num_empty(passages: PassageStore | PrebuiltCorpus) -> int:
    """How many passages were left out of a corpus; an index of Pyserini's does not say."""
    return passages.num_empty if isinstance(passages, PassageStore) else 0


def _num_unknown(docids: Sequence[str], passages: PassageStore | PrebuiltCorpus) -> int:
    different = list(dict.fromkeys(docids))
    return len(different) - len(passages.known(different))
