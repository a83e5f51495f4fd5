"""Command line of the dataset builder: `python -m dataset_builder --help`."""

from dataset_builder.commands.flags import parser
from retrieval.errors import run_cli


def main() -> None:
    """Parse the command line and run one command."""
    arguments = parser().parse_args()
    # Not before: what a command runs on takes seconds to import, and --help does without.
    from dataset_builder.commands.dispatch import run

    run(arguments)


if __name__ == "__main__":
    run_cli(main)
