"""Where the tasks of a stage run, by datatrove: on this machine, or on a Ray or Slurm cluster."""

import logging
import os
import sys

from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor

from dataset_builder.build.execution import RAY, SLURM, Execution
from dataset_builder.pipeline.stages import Stage
from retrieval.provenance import CHECKOUT

RAY_ADDRESS = "RAY_ADDRESS"


def open_executor(execution: Execution, stage: Stage, previous: PipelineExecutor | None) -> PipelineExecutor:
    """The executor of one stage, which runs after `previous`.

    datatrove's own marks are one a task and no part of a build's state: a stage knows what is done by its files.
    """
    tasks, workers = (execution.tasks, execution.workers) if stage.sharded else (1, 1)
    tasks = min(tasks, len(stage.marks()))
    logs = str(stage.folder.logs(stage.name))
    if execution.executor == RAY:
        _join_ray()
        return RayPipelineExecutor(
            [stage], tasks, workers, logging_dir=logs, gpus_per_task=execution.gpus, skip_completed=False
        )
    if execution.executor == SLURM:
        return SlurmPipelineExecutor(
            [stage],
            tasks,
            execution.time_limit,
            execution.partition,
            gpus_per_task=execution.gpus,
            workers=workers,
            job_name=f"twolar-{stage.name}",
            env_command=f"source {sys.prefix}/bin/activate; export PYTHONPATH={CHECKOUT}",
            depends=previous,
            logging_dir=logs,
            skip_completed=False,
        )
    return LocalPipelineExecutor([stage], tasks, workers, logging_dir=logs, skip_completed=False)


def _join_ray() -> None:
    """Join the cluster at RAY_ADDRESS, or start one of this machine."""
    import ray

    if not ray.is_initialized():
        ray.init(
            address=os.environ.get(RAY_ADDRESS),
            runtime_env={"env_vars": {"PYTHONPATH": str(CHECKOUT)}},
            include_dashboard=False if RAY_ADDRESS not in os.environ else None,
            logging_level=logging.ERROR,
        )
