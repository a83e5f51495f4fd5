"""Runs the command that the flags name."""

import argparse
from pathlib import Path

from dataset_builder.build.artifacts import Artifacts
from dataset_builder.build.execution import SLURM, Execution
from dataset_builder.build.folder import BuildFolder
from dataset_builder.commands.arguments import (
    build_execution,
    build_settings,
    import_wanted,
    judged_queries,
    teacher_access,
)
from dataset_builder.commands.artifacts import describe_artifacts
from dataset_builder.commands.dry_run import dry_run
from dataset_builder.commands.import_runs import import_runs
from dataset_builder.commands.inspection import describe_query, describe_status
from dataset_builder.commands.order import order_run
from dataset_builder.pipeline.run import build
from dataset_builder.report.page import write_report


def run(arguments: argparse.Namespace) -> None:
    """Run one command, and say where its result is."""
    if arguments.command == "build":
        settings = build_settings(arguments)
        folder = BuildFolder(Path(settings.output_dir))
        execution = build_execution(arguments)
        run_it = dry_run if arguments.dry_run else build
        run_it(folder, settings, teacher_access(arguments), execution, judged_queries(arguments))
        if execution.executor == SLURM:
            print(f"submitted; python -m dataset_builder status {folder.root} says how far it is")
        elif not arguments.dry_run:
            print(f"dataset: {folder.root} (card: {folder.card})")
            print(f"train on it: python train_hf.py --dataset_name {settings.output_dir} --output_dir out")
        return
    if arguments.command == "import-runs":
        wanted = import_wanted(arguments)
        import_runs(wanted)
        print(f"dataset: {wanted.output_dir} (card: {BuildFolder(Path(wanted.output_dir)).card})")
        return
    if arguments.command == "artifacts":
        artifacts = Artifacts(Execution(artifacts=arguments.artifacts or "").artifact_folder)
        print(describe_artifacts(artifacts, arguments.delete_unused))
        return
    folder = BuildFolder(arguments.build)
    if arguments.command == "order":
        print(
            order_run(folder, teacher_access(arguments), arguments.queries, arguments.run, arguments.output)
        )
    elif arguments.command == "status":
        print(describe_status(folder, teacher_access(arguments)))
    elif arguments.command == "report":
        output = arguments.output or folder.build / "report.html"
        write_report(folder, teacher_access(arguments), output, arguments.max_queries)
        print(f"report: {output}")
    else:
        print(describe_query(folder, arguments.query_id, teacher_access(arguments)))
