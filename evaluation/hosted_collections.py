"""A judged collection of the Hugging Face Hub: NanoBEIR's by name, and any dataset laid out as they or MTEB's are."""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path

from evaluation.collections import JudgedCollection, judged_queries
from retrieval.errors import InputError
from retrieval.fields import PASSAGE_IDS, QUERY_IDS, checked_id, id_of
from retrieval.hosted_corpora import HUGGING_FACE, configurations, read_hugging_face
from retrieval.judgments import Judgment, qrels_of
from retrieval.queries import queries_of

NANOBEIR, NANOBEIR_DATASET = "nanobeir", "sentence-transformers/NanoBEIR-en"
# BEIR's name → the split of all three configurations. Source: sentence-transformers' NanoBEIREvaluator, 6.2.
NANOBEIR_SPLITS = {
    "arguana": "NanoArguAna",
    "climate-fever": "NanoClimateFEVER",
    "dbpedia-entity": "NanoDBPedia",
    "fever": "NanoFEVER",
    "fiqa": "NanoFiQA2018",
    "hotpotqa": "NanoHotpotQA",
    "msmarco": "NanoMSMARCO",
    "nfcorpus": "NanoNFCorpus",
    "nq": "NanoNQ",
    "quora": "NanoQuoraRetrieval",
    "scidocs": "NanoSCIDOCS",
    "scifact": "NanoSciFact",
    "webis-touche2020": "NanoTouche2020",
}
CORPUS, QUERIES, QRELS = "corpus", "queries", "qrels"
DOCID = "corpus-id"
# MTEB keeps its judgments in the configuration without a name, and only they are split.
MTEB_QRELS, MTEB_SPLIT = "default", "test"


def spelled_out(specs: Sequence[str]) -> list[str]:
    """The collections, `nanobeir` replaced by its 13."""
    return [each for spec in specs for each in (_all_of_nanobeir() if _is_nanobeir(spec) else [spec])]


def is_hosted(spec: str) -> bool:
    """Whether it is `hf:DATASET[:SPLIT]` or `nanobeir:NAME`."""
    return spec.startswith((HUGGING_FACE, f"{NANOBEIR}:"))


def load_hosted(spec: str, limit: int | None, name: str | None = None) -> JudgedCollection:
    """A collection of the Hub, whose configurations are `corpus`, `queries` and `qrels` (MTEB's: `default`).

    Args:
        spec: `nanobeir:NAME`, or `hf:DATASET[:SPLIT]`; a dataset can be a folder here.
        limit: only the first so many judged queries.
        name: what tables call it; by default NanoBEIR's as `spec`, another by its dataset and split.

    Raises:
        InputError: for a name that NanoBEIR has not, and for a dataset or a row that cannot be used.
    """
    dataset = _dataset_of(spec)
    places = _places(dataset)
    qrels, texts = qrels_of(_judgments(places[QRELS])), queries_of(read_hugging_face(places[QUERIES]))
    if not qrels:
        raise InputError(f"{places[QRELS]} holds no judgment")
    queries, grades = judged_queries(qrels, texts, limit, places[QRELS], places[QUERIES])
    return JudgedCollection(
        name=name or (_name(dataset) if dataset == spec else spec),
        queries=queries,
        qrels=grades,
        corpus=places[CORPUS],
        sha256=hashlib.sha256(json.dumps([queries, grades]).encode()).hexdigest(),
        num_judged=len(qrels),
    )


def _is_nanobeir(spec: str) -> bool:
    return spec == NANOBEIR and not os.path.isdir(spec)


def _all_of_nanobeir() -> list[str]:
    return [f"{NANOBEIR}:{name}" for name in NANOBEIR_SPLITS]


def _dataset_of(spec: str) -> str:
    """`hf:DATASET[:SPLIT]`."""
    if spec.startswith(HUGGING_FACE):
        return spec
    name = spec.removeprefix(f"{NANOBEIR}:")
    if name not in NANOBEIR_SPLITS:
        raise InputError(f"NanoBEIR has no {name!r}; it has {', '.join(NANOBEIR_SPLITS)}")
    return f"{HUGGING_FACE}{NANOBEIR_DATASET}:{NANOBEIR_SPLITS[name]}"


def _name(dataset: str) -> str:
    """As a folder's: `scifact (test)`."""
    name, split = _name_and_split(dataset)
    return f"{Path(name).name} ({split})" if split else Path(name).name


def _name_and_split(dataset: str) -> tuple[str, str]:
    name, _, split = dataset.removeprefix(HUGGING_FACE).partition(":")
    return name, split


def _places(dataset: str) -> dict[str, str]:
    """Where corpus, queries and judgments are, each as `read_hugging_face` takes it."""
    name, split = _name_and_split(dataset)
    found = configurations(dataset)
    qrels = QRELS if QRELS in found else MTEB_QRELS
    absent = next((each for each in (CORPUS, QUERIES, qrels) if each not in found), None)
    if absent:
        raise InputError(
            f"{dataset} has no configuration {absent!r}, only {', '.join(found)}; a collection has {CORPUS}, {QUERIES} "
            f"and {QRELS}"
        )
    if qrels == QRELS:
        return {each: f"{HUGGING_FACE}{name}/{each}:{split}" for each in (CORPUS, QUERIES, QRELS)}
    texts = {each: f"{HUGGING_FACE}{name}/{each}" for each in (CORPUS, QUERIES)}
    return {**texts, QRELS: f"{HUGGING_FACE}{name}/{qrels}:{split or MTEB_SPLIT}"}


def _judgments(place: str) -> Iterator[Judgment]:
    for where, row in read_hugging_face(place):
        query_id = checked_id(id_of(row, QUERY_IDS, where), where)
        for judged in _one_by_one(row):
            yield where, query_id, checked_id(id_of(judged, PASSAGE_IDS, where), where), _grade(row, where)


def _one_by_one(row: Mapping[str, object]) -> list[Mapping[str, object]]:
    """Some copies of NanoBEIR list all relevant passages of a query in one row; so its evaluator says."""
    docids = row.get(DOCID)
    return [{**row, DOCID: docid} for docid in docids] if isinstance(docids, list) else [row]


def _grade(row: Mapping[str, object], where: str) -> int:
    """NanoBEIR's qrels have none: what stands there is relevant."""
    grade = row.get("score", 1)
    if not isinstance(grade, int | float) or int(grade) != grade:
        raise InputError(f"{where}: score {grade!r} is not a whole number")
    return int(grade)
