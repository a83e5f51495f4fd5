"""Where the tasks of a stage run, by datatrove: on this machine, or on a Ray or Slurm cluster."""

import importlib.util
import logging
import os
import shutil
import sys
from dataclasses import dataclass

from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor

from dataset_builder.pipeline.stages import Stage
from retrieval.errors import InputError
from retrieval.provenance import CHECKOUT

LOCAL, RAY, SLURM = "local", "ray", "slurm"
RAY_ADDRESS = "RAY_ADDRESS"


@dataclass(frozen=True, slots=True)
class Execution:
    """How a build's stages are executed. None of it changes the dataset, but for one thing: a reranker's scores
    differ in their last digits with `tasks`, which says what pools share a batch.

    `tasks`: shards of the pools and rankings. `workers`: how many of them run at once. `partition`,
    `time_limit`, `gpus`: of a Slurm job; `gpus` also of a Ray task. All machines must share the build's folder.
    """

    executor: str = LOCAL
    tasks: int = 1
    workers: int = 1
    partition: str = ""
    time_limit: str = "24:00:00"
    gpus: int = 0

    def check(self) -> None:
        """Find what is missing before a build begins.

        Raises:
            InputError: for an executor whose cluster cannot be reached from here.
        """
        if self.tasks < 1 or self.workers < 1:
            raise InputError("--tasks and --workers must be at least 1")
        if self.executor == RAY and importlib.util.find_spec("ray") is None:
            raise InputError("--executor ray needs Ray; install it with pip install ray")
        if self.executor == SLURM and shutil.which("sbatch") is None:
            raise InputError("--executor slurm needs sbatch; run it on a machine that submits Slurm jobs")
        if self.executor == SLURM and not self.partition:
            raise InputError("--executor slurm needs --partition")

    def open(self, stage: Stage, previous: PipelineExecutor | None) -> PipelineExecutor:
        """The executor of one stage, which runs after `previous`."""
        tasks, workers = (self.tasks, self.workers) if stage.sharded else (1, 1)
        logs = str(stage.folder.logs(stage.name))
        if self.executor == RAY:
            _join_ray()
            return RayPipelineExecutor([stage], tasks, workers, logging_dir=logs, gpus_per_task=self.gpus)
        if self.executor == SLURM:
            return SlurmPipelineExecutor(
                [stage],
                tasks,
                self.time_limit,
                self.partition,
                gpus_per_task=self.gpus,
                workers=workers,
                job_name=f"twolar-{stage.name}",
                env_command=f"source {sys.prefix}/bin/activate; export PYTHONPATH={CHECKOUT}",
                depends=previous,
                logging_dir=logs,
            )
        return LocalPipelineExecutor([stage], tasks, workers, logging_dir=logs)


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
