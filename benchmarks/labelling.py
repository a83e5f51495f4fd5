"""A dataset of 20,000 queries, labelled over HTTP among faults and kills: `python -m benchmarks.labelling --help`.

Real: the corpus, the build, its retrieval, the OpenAI client, HTTP, the faults, SIGKILL. Not real: the language model.
The server ranks by a hash (`tests/teachers/llm_server.py`), so the dataset says nothing about relevance. What is
measured is the build: whether a query or a paid answer is lost, how often an answer is paid twice, whether limits and
the cap hold by the server's own count, memory, and the time of its own that it spends on each call.
"""

import argparse
import json
import os
import signal
import subprocess
import sys
import time
import urllib.request
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path

from dataset_builder.build.folder import BuildFolder, all_rankings
from dataset_builder.language_models.prices import Price
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teachers.prompt import ListwisePrompt
from dataset_builder.teachers.sliding_window import sort_in_windows
from retrieval.errors import InputError, run_cli
from tests.teachers.llm_answers import ranking_ids

SECONDS_BETWEEN_LOOKS = 0.5
CALLS_A_QUERY = 2
MODEL = "gpt-4o-mini"
LIMITS = ("requests_per_minute", "tokens_per_minute", "max_cost")
ENVIRONMENT = {**os.environ, "OPENAI_API_KEY": "stand-in", "OMP_NUM_THREADS": "1"}


@dataclass(frozen=True)
class Run:
    """One process of the build."""

    seconds: float
    cpu_seconds: float
    peak_mib: float
    return_code: int


def main() -> None:
    """Fill the pools, label them with three kills on the way, and print what was counted."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.labelling", description=__doc__)
    parser.add_argument("--corpus", required=True, help="corpus.jsonl[.gz]")
    parser.add_argument("--output_dir", type=Path, required=True, help="an empty or new folder")
    parser.add_argument("--num_queries", type=int, default=20_000)
    parser.add_argument("--num_passages", type=int, default=30)
    parser.add_argument(
        "--fault_rate", type=float, default=0.1, help="share of calls that fail one way or another"
    )
    parser.add_argument("--rejected_rate", type=float, default=0.0, help="share of prompts never accepted")
    parser.add_argument(
        "--requests_per_minute", type=int, help="the build's limit, held against the server's count"
    )
    parser.add_argument("--tokens_per_minute", type=int, help="the same for tokens")
    parser.add_argument("--tasks", type=int, default=1, help="tasks of the build, all at once")
    parser.add_argument("--max_cost", type=float, help="US dollars; the build is to end there")
    parser.add_argument("--kills", type=int, default=3, help="SIGKILLs, evenly over the answers")
    parser.add_argument("--concurrency", type=int, default=32)
    arguments = parser.parse_args()
    if arguments.output_dir.exists():
        raise InputError(f"{arguments.output_dir} exists; give a new folder")
    server = subprocess.Popen(
        [
            sys.executable,
            "-m",
            "tests.teachers.llm_server",
            "--fault_rate",
            str(arguments.fault_rate),
            "--rejected_rate",
            str(arguments.rejected_rate),
            "--hang",
            "3",
        ],
        stdout=subprocess.PIPE,
        text=True,
    )
    try:
        assert server.stdout is not None
        _measure(arguments, server.stdout.readline().strip())
    finally:
        server.kill()


def _measure(arguments: argparse.Namespace, url: str) -> None:
    command = [sys.executable, "-m", "dataset_builder", "build", "--profile", "offline",
               "--corpus", arguments.corpus, "--num_queries", str(arguments.num_queries),
               "--num_passages", str(arguments.num_passages), "--query_types", "cropped", "--retrievers", "bm25",
               "bm25_rm3", "--teacher", f"openai:{MODEL}", "--base_url", url, "--timeout", "2",
               "--concurrency", str(arguments.concurrency), "--output_dir", str(arguments.output_dir),
               "--artifacts", str(arguments.output_dir / "build" / "artifacts"),
               "--tasks", str(arguments.tasks), "--workers", str(arguments.tasks)]  # fmt: skip
    for name in LIMITS:
        if getattr(arguments, name) is not None:
            command += [f"--{name}", str(getattr(arguments, name))]
    pools = _run([*command, "--dry_run"])
    print(f"pools: {pools.seconds:.0f} s, {pools.peak_mib:.0f} MiB", flush=True)
    calls = CALLS_A_QUERY * arguments.num_queries
    shares = [number / (arguments.kills + 1) for number in range(1, arguments.kills + 1)]
    killed = [_run(command, partial(_has_answered, url, round(share * calls))) for share in shares]
    last = _run(command)
    if last.return_code and arguments.max_cost is None:
        raise InputError(f"the build failed with exit code {last.return_code}")
    _report(BuildFolder(arguments.output_dir), _counts(url), [*killed, last])


def _run(command: list[str], until: Callable[[], bool] | None = None) -> Run:
    """Run the build to its end, or until `until()` holds and it is killed."""
    begun = time.perf_counter()
    process = subprocess.Popen(command, env=ENVIRONMENT, stderr=subprocess.DEVNULL)
    while True:
        pid, status, usage = os.wait4(process.pid, os.WNOHANG)
        if pid:
            seconds, cpu = time.perf_counter() - begun, usage.ru_utime + usage.ru_stime
            return Run(seconds, cpu, usage.ru_maxrss / 1024, os.waitstatus_to_exitcode(status))
        if until is not None and until():
            process.send_signal(signal.SIGKILL)
        time.sleep(SECONDS_BETWEEN_LOOKS)


def _counts(url: str) -> dict[str, object]:
    with urllib.request.urlopen(f"{url.removesuffix('/v1')}/stand-in/counts") as answer:
        return dict(json.load(answer))


def _has_answered(url: str, calls: int) -> bool:
    answered = _counts(url)["answered"]
    assert isinstance(answered, int)
    return answered >= calls


def _report(folder: BuildFolder, counts: dict[str, object], runs: list[Run]) -> None:
    rows = [json.loads(line) for path in folder.answers.glob("*.jsonl") for line in path.open()]
    keys = [row["key"] for row in rows if not row["rejection"]]
    price = Price.of(MODEL)
    assert price is not None
    labels = list(all_rankings(folder))
    statuses = Counter(label.label_status for label in labels)
    wrong = sum(
        label.label_status == "ok" and label.teacher_order != _by_the_server(label) for label in labels
    )
    asked = counts["asked"]
    assert isinstance(asked, int)
    print(f"the server: {counts}")
    prompt_tokens, answer_tokens = (
        int(str(counts.get(f"{name}_tokens", 0))) for name in ("prompt", "completion")
    )
    paid = price.cost(prompt_tokens, answer_tokens)
    print(f"paid, by the server's count: ${paid:.4f}")
    print(f"runs, killed by SIGKILL but for the last: {[round(run.seconds) for run in runs]} s")
    print(
        f"queries labelled: {statuses.total()} ({dict(statuses)}), of them ok, yet not in the server's order: {wrong}"
    )
    print(f"answers on disk: {len(keys)}, of them bought twice: {len(keys) - len(set(keys))}")
    print(f"largest process: {max(run.peak_mib for run in runs):.0f} MiB")
    cpu_seconds = sum(run.cpu_seconds for run in runs)
    print(f"CPU a call, each start and the dataset's writing included: {1000 * cpu_seconds / asked:.2f} ms")


def _by_the_server(pool: RankingExample) -> tuple[int, ...]:
    """The order that the stand-in gives, window by window, where no fault comes between."""
    prompt, windows = ListwisePrompt(), sort_in_windows(len(pool.passages))
    ranked: list[int] | None = None
    try:
        while True:
            window = next(windows) if ranked is None else windows.send(ranked)
            shown = [pool.passages[index].passage for index in window]
            content = prompt.messages(pool.query.text, shown)[-1].content
            ranked = [window[number - 1] for number in ranking_ids({"messages": [{"content": content}]})]
    except StopIteration as done:
        return tuple(done.value)


if __name__ == "__main__":
    run_cli(main)
