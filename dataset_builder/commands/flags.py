"""The command line's flags: those of a build's settings, and those of how its teacher is reached."""

import argparse
from collections.abc import Callable
from pathlib import Path

from dataset_builder.build.execution import LOCAL, RAY, SLURM
from dataset_builder.build.settings import PROFILES, SOURCE_FOUND, SOURCE_IN, SOURCE_OUT, SPLIT, UNION
from dataset_builder.report import MAX_QUERIES
from retrieval.corpus import LAYOUTS, CorpusFlag

NONE = "none"
Kind = Callable[[str], str | int | float]


def _or_none(kind: type[str] | type[int] | type[float]) -> Kind:
    """Of a flag that also takes `none`."""

    def read(text: str) -> str | int | float:
        return NONE if text == NONE else kind(text)

    read.__name__ = f"{kind.__name__} or {NONE}"
    return read


SETTINGS: dict[str, tuple[Kind, str]] = {
    "corpus": (str, LAYOUTS),
    "language": (str, "of the corpus: en, de, zh, ja, th, ...; found from a sample unless given"),
    "queries": (str, "your own queries, a queries.jsonl or .tsv (id, text), in place of the profile's"),
    "num_queries": (
        int,
        "queries to draw, in equal parts for each query type; more than a build has are added to it",
    ),
    "num_passages": (int, "passages a query (the paper: 30)"),
    "pool": (str, f"{SPLIT}: each query draws from one method, in turn; {UNION}: all methods interleaved"),
    "pool_head": (
        int,
        "so many passages of a pool are the list's first, the rest are spread evenly from there to --pool_depth "
        "(default: all are the first)",
    ),
    "pool_depth": (int, "how far down its list a method is asked (default: as far as a pool needs)"),
    "source_passage": (
        str,
        f"{SOURCE_FOUND}: in the pool where its own query finds it; {SOURCE_IN}: wherever it is down to --pool_depth; "
        f"{SOURCE_OUT}: never",
    ),
    "near_duplicates": (
        float,
        "leave out of a pool what is so like a passage above it: common part of their three-word sequences, as 0.8 "
        "(1: keep all)",
    ),
    "test_fraction": (float, "share of source passages held out as the test split"),
    "seed": (int, "the same seed gives the same bytes"),
    "num_shards": (
        int,
        "files that pools and rankings lie in, kept from a build's first run; tasks take whole ones (default: a "
        "32nd of the queries, 64 at most)",
    ),
    "output_dir": (str, "folder of the dataset, its card and, under build/, the stages' files"),
    "teacher": (
        str,
        "orders: openai:MODEL, batch:MODEL (half the price, within a day; also batch:anthropic/MODEL and "
        "batch:google/MODEL), local:PATH, rank-fusion; scores: "
        "pointwise:MODEL, likelihood:MODEL, reranker:NAME_OR_PATH; or an ensemble of such",
    ),
    "window_size": (int, "passages that a language model orders at once (the paper: 20)"),
    "step": (int, "how far the window moves (the paper: 10)"),
    "bm25_index": (
        str,
        "BM25's index, a folder or a name of Pyserini's as msmarco-v1-passage; else one is built",
    ),
    "splade_index": (str, "SPLADE's, of impacts, the same way; --splade then encodes queries alone"),
    "dragon_index": (str, "DRAGON's: a folder as Pyserini has it (index, docid), a name, or a Faiss file"),
    "encoder_index": (str, "the same for minilm and bm25_minilm"),
    "encoder": (str, "the bi-encoder of minilm and bm25_minilm: a Hub name or a folder"),
    "splade": (str, "a masked language model trained as SPLADE"),
    "dragon_context": (str, "DRAGON's passage encoder"),
    "dragon_query": (str, "DRAGON's query encoder"),
    "encoder_dtype": (
        str,
        "float32, bfloat16 or int8, of what encodes passages (default: bfloat16 on a GPU); on a CPU int8 takes about "
        "half the time and finds 97%% of the same passages; bfloat16 99%%, but is slower without AVX-512 BF16 or AMX",
    ),
    "monot5": (str, "the reranker of bm25_monot5"),
    "doct5query": (str, "the T5 that writes queries"),
    "query_writer": (str, "the language model of llm_query: openai:MODEL, batch:MODEL or local:PATH"),
    "query_prompt": (str, "a YAML file with its instruction and examples; default: prompts/llm_query.yaml"),
    "consistency_retriever": (
        str,
        "keep a written query only where this method finds the passage that it was written for",
    ),
    "consistency_depth": (int, "how far down its list that passage may be"),
    "faiss_index": (
        str,
        "flat (exact, in little memory); of millions faster, about right: hnsw, ivf, ivf_pq (small)",
    ),
    "num_rankings": (int, "rankings of each pool, aggregated; more than 1 needs --shuffle"),
    "max_words": (int, "words of a passage in the prompt; in text without spaces, characters"),
    "answer_format": (
        str,
        "text: [2] > [1]; json: a score a passage, under a schema; auto: json where a server of openai: can, or text",
    ),
    "temperature": (_or_none(float), "of the language model; none: its server's default"),
    "max_tokens": (_or_none(int), "of an answer, reasoning included; none: the server's default"),
    "reasoning_effort": (_or_none(str), "in the server's words, as low; none: not sent"),
    "thinking_budget": (_or_none(int), "tokens to reason with, also of a local: teacher; none: not sent"),
    "license": (str, "of the corpus's text, as the Hub names it (for instance cc-by-4.0)"),
}
NOT_SENT = {"temperature": None, "max_tokens": None, "reasoning_effort": "", "thinking_budget": None}
IMPORTED = ("num_passages", "test_fraction", "seed", "license")
LISTS = {
    "query_types": "cropped, doct5query, llm_query, keywords, given; llm_query=80 draws so many of that type",
    "retrievers": "bm25, splade, dragon, bm25_monot5, bm25_rm3, minilm, bm25_minilm",
    "ensemble": "its members, each TEACHER=WEIGHT or METHOD=WEIGHT: reranker:all-MiniLM-L6-v2=1 bm25=0.5",
    "exclude_queries": "queries.jsonl or .tsv of evaluation sets: queries that occur there are dropped",
    "exclude_sources": "judgments of evaluation sets, TREC's or BEIR's: no query is made of their passages",
}
METAVARS = {"ensemble": "MEMBER=WEIGHT", "exclude_queries": "FILE", "exclude_sources": "QRELS"}
SWITCHES = {
    "shuffle": "show the passages of each prompt in random order, against bias by position",
}
ACCESS: dict[str, tuple[Kind, str]] = {
    "base_url": (
        str,
        "an OpenAI-compatible server: vLLM, Ollama, llama.cpp; embedded: llama.cpp's, started here for "
        "SmolLM2-135M-Instruct or a .gguf file; by default OpenAI itself",
    ),
    "concurrency": (int, "calls at once, fewer while the server is busy"),
    "requests_per_minute": (int, "what the server allows, over all tasks"),
    "tokens_per_minute": (int, "what the server allows, prompts and answers together, over all tasks"),
    "batch_queued_tokens": (
        int,
        "tokens that may wait in batches at once: files of that size, one after another",
    ),
    "batch_size": (int, "pools that a local: teacher ranks at once"),
    "timeout": (float, "seconds to wait for an answer"),
    "poll_seconds": (float, "seconds between two looks at a batch"),
    "max_cost": (float, "US dollars that this build may pay, over all its tasks and runs; answers are kept"),
    "prompt_price": (float, "US dollars for a million tokens, instead of prices.yaml's"),
    "completion_price": (float, "US dollars for a million tokens, instead of prices.yaml's"),
    "answers": (str, "folder of paid answers, to share among builds; by default the build's own"),
}
JUDGED: dict[str, tuple[Kind, str]] = {
    "judged": (
        str,
        "queries.jsonl and qrels/ over the corpus: before labelling, the teacher's nDCG@10 on them, beside --start's",
    ),
    "judged_split": (str, "which qrels/SPLIT.tsv of --judged (test)"),
    "judged_run": (
        str,
        "the TREC run to rank for --judged; by default the first of --retrievers finds the passages",
    ),
    "start": (str, "what the student is to start from: a checkpoint or backbone"),
}
EXECUTION: dict[str, tuple[Kind, str]] = {
    "tasks": (int, "tasks that fill pools and label them; may change from run to run"),
    "workers": (int, "tasks that run at once"),
    "partition": (str, "of Slurm"),
    "time_limit": (str, "of a Slurm job (24:00:00)"),
    "artifacts": (str, "folder of the passage stores and indexes that builds share (twolar/ below HF_HOME)"),
    "memory": (int, "GB for each task on Ray or Slurm that indexes, searches or runs a model (16)"),
    "cpus": (int, "for each of those tasks (4)"),
    "gpus": (int, "for each of those tasks that runs a model (0)"),
}


def parser() -> argparse.ArgumentParser:
    """The parser of `python -m dataset_builder`."""
    top = argparse.ArgumentParser(
        prog="python -m dataset_builder",
        description="Build a ranking dataset out of a corpus. The key of a server comes from OPENAI_API_KEY; "
        "of batches of other providers, from ANTHROPIC_API_KEY and GEMINI_API_KEY.",
    )
    commands = top.add_subparsers(dest="command", required=True)
    _add_build(commands.add_parser("build", help="build a dataset; an interrupted build is continued"))
    _add_order(commands.add_parser("order", help="let a build's teacher order a TREC run over its corpus"))
    _add_import(
        commands.add_parser("import-runs", help="make a dataset of rankings that an LLM gave already")
    )
    status = commands.add_parser("status", help="how far a build is, and what it has cost")
    status.add_argument("build", type=Path, help="the build's folder")
    _add(status, {name: ACCESS[name] for name in ("answers", "prompt_price", "completion_price")})
    inspect = commands.add_parser("inspect", help="a query's pool, the teacher's answers, the final order")
    inspect.add_argument("build", type=Path, help="the build's folder")
    inspect.add_argument("query_id", help="as in build/queries.jsonl, for instance cropped-0")
    _add(inspect, {"answers": ACCESS["answers"]})
    _add_artifacts(
        commands.add_parser(
            "artifacts", help="what builds share: passage stores and indexes, their size and use"
        )
    )
    _add_report(commands.add_parser("report", help="write one HTML page on a build and its queries"))
    return top


def _add_build(command: argparse.ArgumentParser) -> None:
    profiles = ", ".join(sorted(path.stem for path in PROFILES.glob("*.yaml")))
    command.add_argument("--profile", default="offline", help=f"{profiles}, or a YAML file")
    _add(command, SETTINGS)
    for name, text in LISTS.items():
        command.add_argument(f"--{name}", nargs="+", metavar=METAVARS.get(name, name[:-1].upper()), help=text)
    for name, text in SWITCHES.items():
        command.add_argument(f"--{name}", action=argparse.BooleanOptionalAction, help=text)
    _add(command, ACCESS)
    _add(command, JUDGED)
    command.add_argument(
        "--start_layers", type=int, nargs="+", metavar="LAYER", help="those that the student keeps"
    )
    command.add_argument(
        "--dry_run",
        action="store_true",
        help="say what the parts still to be made take, and what labels cost; builds pools that are soon there",
    )
    command.add_argument("--executor", choices=(LOCAL, RAY, SLURM), help="where the stages run")
    _add(command, EXECUTION)


def _add_import(command: argparse.ArgumentParser) -> None:
    command.add_argument("--runs", type=Path, nargs="+", required=True, help="TREC runs, best passages first")
    command.add_argument("--queries", type=Path, required=True, help="queries.jsonl (_id, text)")
    command.add_argument("--first_stage", type=Path, help="the TREC run that the runs reranked")
    command.add_argument(
        "--fuse",
        type=float,
        nargs="*",
        metavar="WEIGHT",
        help="one ranking a query out of all runs: their scores, normalised and summed over the first stage's "
        "passages, each with its weight (none: all alike); fills teacher_score",
    )
    _add(command, {name: SETTINGS[name] for name in ("corpus", "output_dir")}, required=True)
    _add(command, {name: SETTINGS[name] for name in IMPORTED})


def _add_artifacts(command: argparse.ArgumentParser) -> None:
    _add(command, {"artifacts": EXECUTION["artifacts"]})
    command.add_argument(
        "--delete_unused", action="store_true", help="delete what no build refers to any more"
    )


def _add_order(command: argparse.ArgumentParser) -> None:
    command.add_argument("build", type=Path, help="the build's folder")
    command.add_argument("--queries", type=Path, required=True, help="queries.jsonl (_id, text)")
    command.add_argument("--run", type=Path, required=True, help="TREC run over the build's corpus")
    command.add_argument("--output", type=Path, required=True, help="TREC run to write")
    _add(command, ACCESS)


def _add_report(command: argparse.ArgumentParser) -> None:
    command.add_argument("build", type=Path, help="the build's folder")
    command.add_argument(
        "--output", type=Path, help="HTML file to write; default: build/report.html in the folder"
    )
    command.add_argument(
        "--max_queries",
        type=int,
        default=MAX_QUERIES,
        help="queries shown with passages and answers (default: %(default)s); all are listed",
    )
    _add(command, {name: ACCESS[name] for name in ("answers", "prompt_price", "completion_price")})


def _add(
    command: argparse.ArgumentParser, flags: dict[str, tuple[Kind, str]], required: bool = False
) -> None:
    for name, (kind, text) in flags.items():
        if name == "corpus":
            command.add_argument("--corpus", nargs="+", action=CorpusFlag, required=required, help=text)
        else:
            command.add_argument(f"--{name}", type=kind, required=required, help=text)
