"""Command line of the dataset builder: `python -m dataset_builder build --help`."""

import argparse
from pathlib import Path

from dataset_builder.errors import run_cli
from dataset_builder.folder import BuildFolder
from dataset_builder.order import order_run
from dataset_builder.pipeline import build
from dataset_builder.settings import BuildSettings, load_profile

OVERRIDES = {
    "corpus": (str, "corpus.jsonl[.gz] (BEIR), .tsv[.gz], a folder of .txt/.md files, or python-stdlib"),
    "num_queries": (int, "queries to draw, in equal parts for each query type"),
    "num_passages": (int, "passages a query (the paper: 30)"),
    "teacher": (str, "the teacher that orders the pools"),
    "test_fraction": (float, "share of source passages held out as the test split"),
    "seed": (int, "the same seed gives the same bytes"),
    "output_dir": (str, "folder of the dataset, its card and, under build/, the stages' files"),
}


def main() -> None:
    """Parse the command line and run one command."""
    arguments = _parser().parse_args()
    if arguments.command == "order":
        order_run(BuildFolder(arguments.build), arguments.queries, arguments.run, arguments.output)
        return
    overrides = {name: getattr(arguments, name) for name in OVERRIDES if getattr(arguments, name) is not None}
    settings = load_profile(arguments.profile, overrides)
    folder = BuildFolder(Path(settings.output_dir))
    build(folder, settings, arguments.tasks, arguments.workers)
    _say_what_is_next(folder, settings)


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m dataset_builder", description=__doc__)
    commands = parser.add_subparsers(dest="command", required=True)
    _add_build(commands.add_parser("build", help="build a dataset; an interrupted build is continued"))
    _add_order(commands.add_parser("order", help="let a build's teacher order a TREC run over its corpus"))
    return parser


def _add_build(command: argparse.ArgumentParser) -> None:
    command.add_argument("--profile", default="offline", help="a file of profiles/, or a YAML file")
    for name, (kind, text) in OVERRIDES.items():
        command.add_argument(f"--{name}", type=kind, help=text)
    command.add_argument("--tasks", type=int, default=1, help="shards of the pools and rankings")
    command.add_argument("--workers", type=int, default=1, help="shards that run at once")


def _add_order(command: argparse.ArgumentParser) -> None:
    command.add_argument("build", type=Path, help="the build's folder")
    command.add_argument("--queries", type=Path, required=True, help="queries.jsonl (_id, text)")
    command.add_argument("--run", type=Path, required=True, help="TREC run over the build's corpus")
    command.add_argument("--output", type=Path, required=True, help="TREC run to write")


def _say_what_is_next(folder: BuildFolder, settings: BuildSettings) -> None:
    print(f"dataset: {folder.root} (card: {folder.card})")
    print(f"train on it: python train_hf.py --dataset_name {settings.output_dir} --output_dir out")


if __name__ == "__main__":
    run_cli(main)
