"""A dataset of 20,000 queries, labelled over HTTP among faults and kills: `python -m benchmarks.labelling --help`.

Real: the corpus, the build, its retrieval, the OpenAI client, HTTP, the faults, SIGKILL. Not real: the language model.
The server ranks by a hash (`tests/teachers/llm_server.py`), so the dataset says nothing about relevance. What is
measured is the build: whether a query or a paid answer is lost, how often an answer is paid twice, whether limits and
the cap hold by the server's own count, memory, and the time of its own that it spends on each call.

With `--embedded` the language model is real, and the faults are its own: SmolLM2-135M-Instruct behind llama.cpp. Its
queries are keywords, since it reads a hundred tokens a second.
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

from dataset_builder.build.claim import read_settings
from dataset_builder.build.folder import BuildFolder, all_rankings
from dataset_builder.language_models.answer_cache import AnswerCache
from dataset_builder.language_models.conversation import replay
from dataset_builder.language_models.embedded import EMBEDDED
from dataset_builder.language_models.prices import Price
from dataset_builder.ranking_example import RankingExample
from dataset_builder.teacher_name import OPENAI, POINTWISE, TeacherName
from dataset_builder.teachers import TeacherAnswer
from dataset_builder.teachers.choice import ranking_method
from dataset_builder.teachers.llm_teacher import RankingMethod, ranking
from dataset_builder.teachers.prompt import ListwisePrompt
from dataset_builder.teachers.sliding_window import sort_in_windows
from retrieval.errors import InputError, run_cli
from tests.teachers.llm_answers import ranking_ids

SECONDS_BETWEEN_LOOKS = 0.5
CALLS_A_QUERY = 2
# Of an answer of the embedded model, which may else go on to the end of its context.
TOKENS_A_PASSAGE = 20
MODEL, EMBEDDED_MODEL = "gpt-4o-mini", "SmolLM2-135M-Instruct"
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
    """Build with kills on the way, and print what was counted."""
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
    parser.add_argument(
        "--embedded", choices=(OPENAI, POINTWISE), help=f"ask {EMBEDDED_MODEL} so, in place of the stand-in"
    )
    parser.add_argument("--max_words", type=int, default=300, help="of a passage, with --embedded")
    arguments = parser.parse_args()
    if arguments.output_dir.exists():
        raise InputError(f"{arguments.output_dir} exists; give a new folder")
    if arguments.embedded:
        _measure_embedded(arguments)
        return
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
    command = [*_command(arguments), "--retrievers", "bm25", "bm25_rm3", "--teacher", f"openai:{MODEL}",
               "--base_url", url, "--timeout", "2", "--concurrency", str(arguments.concurrency)]  # fmt: skip
    for name in LIMITS:
        if getattr(arguments, name) is not None:
            command += [f"--{name}", str(getattr(arguments, name))]
    runs = _runs(command, arguments, CALLS_A_QUERY * arguments.num_queries, lambda: _answered(url))
    if runs[-1].return_code and arguments.max_cost is None:
        raise InputError(f"the build failed with exit code {runs[-1].return_code}")
    counts, labels = _counts(url), list(all_rankings(BuildFolder(arguments.output_dir)))
    print(f"the server: {counts}")
    price = Price.of(MODEL)
    assert price is not None
    prompt_tokens, answer_tokens = (
        int(str(counts.get(f"{name}_tokens", 0))) for name in ("prompt", "completion")
    )
    print(f"paid, by the server's count: ${price.cost(prompt_tokens, answer_tokens):.4f}")
    wrong = sum(
        label.label_status == "ok" and label.teacher_order != _by_the_server(label) for label in labels
    )
    _report(arguments.output_dir, runs, labels, wrong)
    cpu_seconds, asked = sum(run.cpu_seconds for run in runs), int(str(counts["asked"]))
    print(f"CPU a call, each start and the dataset's writing included: {1000 * cpu_seconds / asked:.2f} ms")


def _measure_embedded(arguments: argparse.Namespace) -> None:
    """The same without a server's count: answers are counted on disk, and labels held against the scores in them."""
    teacher = f"{arguments.embedded}:{EMBEDDED_MODEL}"
    command = [*_command(arguments), "--retrievers", "bm25", "--teacher", teacher,
               "--base_url", EMBEDDED, "--max_words", str(arguments.max_words),
               "--max_tokens", str(TOKENS_A_PASSAGE * arguments.num_passages)]  # fmt: skip
    folder = BuildFolder(arguments.output_dir)
    calls = arguments.num_queries * (arguments.num_passages if arguments.embedded == POINTWISE else 1)
    runs = _runs(command, arguments, calls, lambda: len(_answers(folder.root)))
    if runs[-1].return_code:
        raise InputError(f"the build failed with exit code {runs[-1].return_code}")
    labels = list(all_rankings(folder))
    method = ranking_method(TeacherName.parse(teacher), read_settings(folder))
    with AnswerCache(folder.answers) as cache:
        wrong = sum(
            label.label_status == "ok" and label.teacher_order != _by_its_answers(label, method, cache)
            for label in labels
        )
    _report(folder.root, runs, labels, wrong)


def _command(arguments: argparse.Namespace) -> list[str]:
    return [sys.executable, "-m", "dataset_builder", "build", "--profile", "offline",
            "--corpus", arguments.corpus, "--num_queries", str(arguments.num_queries),
            "--num_passages", str(arguments.num_passages),
            "--query_types", "keywords" if arguments.embedded else "cropped",
            "--output_dir", str(arguments.output_dir),
            "--artifacts", str(arguments.output_dir / "build" / "artifacts"),
            "--tasks", str(arguments.tasks), "--workers", str(arguments.tasks)]  # fmt: skip


def _runs(
    command: list[str], arguments: argparse.Namespace, calls: int, answered: Callable[[], int]
) -> list[Run]:
    """The build, killed as often as asked for, evenly over its answers, and run to its end."""
    marks = [round(number / (arguments.kills + 1) * calls) for number in range(1, arguments.kills + 1)]
    return [*(_run(command, until=partial(_reached, answered, mark)) for mark in marks), _run(command)]


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


def _answered(url: str) -> int:
    return int(str(_counts(url)["answered"]))


def _reached(answered: Callable[[], int], mark: int) -> bool:
    return answered() >= mark


def _answers(folder: Path) -> list[dict[str, str]]:
    """The whole lines of the kept answers; a killed process may have left half of one."""
    lines = [line for path in BuildFolder(folder).answers.glob("*.jsonl") for line in path.open()]
    return [json.loads(line) for line in lines if line.endswith("\n")]


def _report(folder: Path, runs: list[Run], labels: list[RankingExample], wrong: int) -> None:
    keys = [row["key"] for row in _answers(folder) if not row["rejection"]]
    statuses = Counter(label.label_status for label in labels)
    print(f"runs, killed by SIGKILL but for the last: {[round(run.seconds) for run in runs]} s")
    print(
        f"queries labelled: {statuses.total()} ({dict(statuses)}), of them ok, yet not in the order of the answer: "
        f"{wrong}"
    )
    print(f"answers on disk: {len(keys)}, of them bought twice: {len(keys) - len(set(keys))}")
    print(f"largest process: {max(run.peak_mib for run in runs):.0f} MiB")


def _by_its_answers(
    pool: RankingExample, method: RankingMethod, cache: AnswerCache
) -> tuple[int, ...] | None:
    """The order that the kept answers about a pool of one window give; of scores in JSON, read here."""
    exchanges, end = replay(ranking(method, pool), cache)
    assert isinstance(end, TeacherAnswer)
    fields, text = exchanges[-1].request.fields, exchanges[-1].answer.text
    if not fields:
        return end.order
    scores = json.loads(text)
    return tuple(sorted(range(len(pool.passages)), key=lambda place: -scores[fields[place]]))


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
