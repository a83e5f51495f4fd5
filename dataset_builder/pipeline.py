"""Runs the stages of a build, one after the other, on datatrove: what is done is skipped."""

from datatrove.executor import LocalPipelineExecutor
from loguru import logger

from dataset_builder.folder import BuildFolder
from dataset_builder.labelling import TeacherAccess, check_teacher, estimate_labelling
from dataset_builder.settings import BuildSettings, claim_folder
from dataset_builder.stages import STAGES, LabelPools

# datatrove logs each step to stderr, above our progress bars; statistics and marks stay in build/logs.
logger.disable("datatrove")


def build(
    folder: BuildFolder,
    settings: BuildSettings,
    access: TeacherAccess,
    tasks: int = 1,
    workers: int = 1,
    dry_run: bool = False,
) -> None:
    """Build the dataset, from the stage where an earlier run stopped.

    Args:
        tasks: into how many shards the pools and rankings are divided.
        workers: how many of them run at once on this machine.
        dry_run: stop before the teacher is asked, and print what it will cost.

    Raises:
        InputError: for input that cannot be used, or a folder that holds another build.
    """
    check_teacher(settings, access)
    claim_folder(folder, settings)
    for number, stage in enumerate(STAGES, start=1):
        if dry_run and stage is LabelPools:
            print(f"{settings.teacher}: {estimate_labelling(folder, settings, access)}")
            return
        executor = LocalPipelineExecutor(
            pipeline=[stage(folder, settings, access)],
            tasks=tasks if stage.sharded else 1,
            workers=workers if stage.sharded else 1,
            logging_dir=str(folder.logs(stage.name)),
        )
        reused = "" if executor.get_incomplete_ranks() else ": done before, reused"
        print(f"[{number}/{len(STAGES)}] {stage.name}{reused}", flush=True)
        executor.run()
