"""README's quickstart table, rendered from what `make quickstart` wrote: `python -m model_cards.readme --help`."""

import argparse
import json
import shutil
from collections.abc import Mapping
from pathlib import Path

from jinja2 import Environment, FileSystemLoader, StrictUndefined

from retrieval.errors import InputError, run_cli
from retrieval.text_file import write_text

ROOT = Path(__file__).parent.parent
README = ROOT / "README.md"
# The release's figures, without those of every query.
RESULTS = ROOT / "docs" / "results" / "quickstart.json"
PLOT = "*-quality_by_latency.png"
BEGIN, END = "<!-- quickstart: rendered by python -m model_cards.readme -->", "<!-- end of quickstart -->"
FIRST_STAGE, START, STUDENT, TEACHER = "bm25", "start", "student", "teacher"


def main() -> None:
    """Take over a quickstart's results where they are given; then render README, or check it."""
    parser = argparse.ArgumentParser(prog="python -m model_cards.readme", description=__doc__)
    parser.add_argument(
        "--results", type=Path, help="results.json of make quickstart, to become the release's"
    )
    parser.add_argument(
        "--check", action="store_true", help="change nothing; exit code 2 where README differs"
    )
    arguments = parser.parse_args()
    if arguments.results:
        take_over(arguments.results)
    text = README.read_text(encoding="utf-8")
    right = rendered(text, json.loads(RESULTS.read_text(encoding="utf-8")))
    if arguments.check and text != right:
        raise InputError(
            f"README.md's quickstart table is not what {RESULTS.relative_to(ROOT)} says; "
            "run python -m model_cards.readme"
        )
    if text != right:
        write_text(README, right.removesuffix("\n"))


def take_over(results: Path) -> None:
    """Keep a quickstart's figures as the release's.

    Raises:
        InputError: for a file that is missing or is no quickstart's.
    """
    if not results.is_file():
        raise InputError(f"{results} does not exist; make quickstart writes it")
    (record,) = json.loads(results.read_text(encoding="utf-8"))
    # Not before: see _table.
    from model_cards.evaluation_results import refuse_limited

    refuse_limited(record, results)
    missing = {FIRST_STAGE, START, STUDENT, TEACHER} - set(record["systems"])
    if missing:
        raise InputError(f"{results} has no {', '.join(sorted(missing))}: it is not of make quickstart")
    for system in record["systems"].values():
        del system["per_query"]
    RESULTS.parent.mkdir(parents=True, exist_ok=True)
    (plot,) = (results.parent / "plots").glob(PLOT)
    shutil.copyfile(plot, RESULTS.with_suffix(".png"))
    write_text(RESULTS, json.dumps(record, indent=2))


def rendered(readme: str, record: Mapping) -> str:
    """`readme` with the table of `record` between its markers.

    Raises:
        InputError: where the markers are missing.
    """
    if readme.count(BEGIN) != 1 or readme.count(END) != 1:
        raise InputError(f"README.md needs the lines {BEGIN!r} and {END!r} once each")
    before, after = readme.partition(BEGIN)[0], readme.partition(END)[2]
    return f"{before}{BEGIN}\n{_table(record)}\n{END}{after}"


def _table(record: Mapping) -> str:
    # Not before: it brings libraries along that take seconds to import, and --help does without.
    from evaluation.measures import MAIN_MEASURE

    systems = record["systems"]
    against = {found["system"]: found for found in record["against"]}
    main = {name: system["means"][MAIN_MEASURE] for name, system in systems.items()}
    speed = {name: system["passages_per_second"] for name, system in systems.items()}
    rows = [
        {
            "name": name,
            "ndcg": main[name],
            "interval": system["interval"],
            "difference": against[name]["difference"] if name in against else None,
            "p": against[name]["p_holm"] if name in against else None,
            "judged": system["means"]["judged@10"],
            "speed": speed[name],
        }
        for name, system in systems.items()
    ]
    environment = Environment(
        loader=FileSystemLoader(Path(__file__).parent), undefined=StrictUndefined, autoescape=False
    )
    return environment.get_template("quickstart.md.jinja").render(
        rows=rows,
        num_queries=record["num_queries"],
        top_k=record["top_k"],
        machine=record["machine"],
        gain=main[STUDENT] - main[START],
        share=(main[STUDENT] - main[FIRST_STAGE]) / (main[TEACHER] - main[FIRST_STAGE]),
        speedup=speed[STUDENT] / speed[TEACHER],
    )


if __name__ == "__main__":
    run_cli(main)
