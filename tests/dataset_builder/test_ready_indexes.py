"""Indexes that are there already, in place of those that a build would make."""

import faiss
import pytest

from dataset_builder.build.folder import BuildFolder
from retrieval.errors import InputError
from retrieval.passage_store import PassageStore
from retrieval.retrievers.faiss_index import open_faiss_index
from retrieval.retrievers.ready_index import ListedRows, ready_faiss
from tests.command_line import run_module


def build(corpus, output, *flags):
    result = run_module(
        "dataset_builder", "build", "--corpus", corpus, "--query_types", "cropped", "--num_queries", "8",
        "--num_passages", "4", "--teacher", "rank-fusion", "--test_fraction", "0", "--output_dir", output,
        "--artifacts", output.parent / f"{output.name}-artifacts", *flags,
    )  # fmt: skip
    assert result.returncode == 0, result.stderr
    return BuildFolder(output)


def parquet(folder):
    return [path.read_bytes() for path in sorted(folder.data.iterdir())]


def reversed_index(own, folder):
    """A Faiss index as Pyserini has it, its passages in the opposite order."""
    index, docids = open_faiss_index(own.faiss("dragon")), [one.docid for one in PassageStore(own.passages)]
    other = faiss.IndexFlatIP(index.d)
    other.add(index.reconstruct_n(0, index.ntotal)[::-1].copy())
    folder.mkdir()
    faiss.write_index(other, str(folder / "index"))
    (folder / "docid").write_text("".join(f"{docid}\n" for docid in reversed(docids)))
    return folder


def test_a_build_over_ready_indexes_encodes_nothing_and_has_the_same_rows(
    planets, paper_models, tmp_path, monkeypatch
):
    paper = ["--profile", "paper", "--retrievers", "bm25", "splade", "dragon"]
    names = ("splade", "dragon_context", "dragon_query")
    models = [flag for name in names for flag in (f"--{name}", paper_models[name])]
    own = build(planets, tmp_path / "own", *paper, *models)
    dragon = reversed_index(own, tmp_path / "dragon")
    monkeypatch.setattr("dataset_builder.pools.methods.dense_shards", None)
    monkeypatch.setattr("dataset_builder.pools.methods.splade_shards", None)
    ready = build(
        planets, tmp_path / "ready", *paper, *models,
        "--bm25_index", own.lucene, "--splade_index", own.splade, "--dragon_index", dragon,
    )  # fmt: skip
    assert parquet(ready) == parquet(own)
    assert not ready.faiss("dragon").exists()


def test_a_faiss_file_in_the_corpus_s_order_stands_in_for_minilm_s(planets, tmp_path):
    offline = ["--profile", "offline", "--retrievers", "minilm"]
    own = build(planets, tmp_path / "own", *offline)
    ready = build(planets, tmp_path / "ready", *offline, "--encoder_index", own.faiss("minilm"))
    assert parquet(ready) == parquet(own)


def test_what_is_no_index_of_the_passages_is_refused(store, tmp_path):
    docids = [passage.docid for passage in store]
    listed = tmp_path / "docid"
    listed.write_text("".join(f"{docid}\n" for docid in [*docids[1:], docids[1]]))
    with pytest.raises(InputError, match="each passage once"):
        ListedRows(listed, store)
    listed.write_text("elsewhere\n")
    with pytest.raises(InputError, match="'elsewhere', which the corpus has not"):
        ListedRows(listed, store)
    with pytest.raises(InputError, match="files index and docid"):
        ready_faiss("--dragon_index", str(tmp_path), store)
    faiss.write_index(faiss.IndexFlatIP(4), str(tmp_path / "index"))
    with pytest.raises(InputError, match="holds 0 passages"):
        ready_faiss("--dragon_index", str(tmp_path), store)
    (tmp_path / "index").write_text("no index")
    with pytest.raises(InputError, match="is no Faiss index"):
        ready_faiss("--dragon_index", str(tmp_path / "index"), store)
