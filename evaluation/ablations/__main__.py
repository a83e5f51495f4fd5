"""Trains and evaluates a grid, and writes its table: `python -m evaluation.ablations --config GRID.yaml`."""

import argparse
from pathlib import Path

from retrieval.errors import run_cli


def main() -> None:
    """Parse the command line and run its grid."""
    arguments = _parser().parse_args()
    # Not before: what a grid runs on takes seconds to import, and --help does without.
    from evaluation.ablations.run import run_grid

    run_grid(arguments.config, arguments.output_dir.resolve())


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m evaluation.ablations", description=__doc__)
    parser.add_argument(
        "--config", type=Path, required=True, help="the grid, e.g. evaluation/ablations/paper.yaml"
    )
    parser.add_argument(
        "--output_dir", type=Path, default=Path("runs/ablations"), help="cells, scores, table and plot"
    )
    return parser


if __name__ == "__main__":
    run_cli(main)
