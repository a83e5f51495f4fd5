"""Judgments in files: BEIR's `qrels/SPLIT.tsv`, and TREC's qrels."""

from pathlib import Path

from retrieval.errors import InputError
from retrieval.lines import located_lines

# Query → docid → grade.
Qrels = dict[str, dict[str, int]]


def read_qrels(path: Path) -> Qrels:
    """Judgments in BEIR's form: query-id, corpus-id, score, by tabs, under a header.

    Raises:
        InputError: for a line of another form, or a file without judgments.
    """
    qrels: Qrels = {}
    for place, line in located_lines(path):
        fields = line.split("\t")
        if fields[0] == "query-id":
            continue
        try:
            query_id, docid, grade = fields
            qrels.setdefault(query_id, {})[docid] = int(grade)
        except ValueError as error:
            raise InputError(
                f"{place}: expected query-id, corpus-id and an integer score, by tabs"
            ) from error
    if not qrels:
        raise InputError(f"{path} holds no judgment")
    return qrels


def read_trec_qrels(path: Path) -> Qrels:
    """Judgments in TREC's form: query-id, 0, docid, grade.

    Raises:
        InputError: for a file that is missing, or a line of another form.
    """
    if not path.is_file():
        raise InputError(f"qrels {path} do not exist")
    qrels: Qrels = {}
    for place, line in located_lines(path):
        try:
            query_id, _, docid, grade = line.split()
            qrels.setdefault(query_id, {})[docid] = int(grade)
        except ValueError as error:
            raise InputError(f"{place}: expected query-id, 0, docid and an integer grade") from error
    return qrels
