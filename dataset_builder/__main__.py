"""Command line of the dataset builder: `python -m dataset_builder --help`."""

from pathlib import Path

from dataset_builder.arguments import build_settings, parser, teacher_access
from dataset_builder.errors import run_cli
from dataset_builder.folder import BuildFolder
from dataset_builder.inspection import describe_query, describe_status
from dataset_builder.order import order_run
from dataset_builder.pipeline import build


def main() -> None:
    """Parse the command line and run one command."""
    arguments = parser().parse_args()
    if arguments.command == "build":
        settings = build_settings(arguments)
        folder = BuildFolder(Path(settings.output_dir))
        access = teacher_access(arguments)
        build(folder, settings, access, arguments.tasks, arguments.workers, arguments.dry_run)
        if not arguments.dry_run:
            print(f"dataset: {folder.root} (card: {folder.card})")
            print(f"train on it: python train_hf.py --dataset_name {settings.output_dir} --output_dir out")
        return
    folder = BuildFolder(arguments.build)
    if arguments.command == "order":
        order_run(folder, teacher_access(arguments), arguments.queries, arguments.run, arguments.output)
    elif arguments.command == "status":
        print(describe_status(folder, teacher_access(arguments)))
    else:
        print(describe_query(folder, arguments.query_id, teacher_access(arguments)))


if __name__ == "__main__":
    run_cli(main)
