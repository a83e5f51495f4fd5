"""Where the tasks of a stage run, by datatrove: on this machine, or on a Ray or Slurm cluster."""

import logging
import os
import sys

from datatrove.executor import LocalPipelineExecutor, RayPipelineExecutor, SlurmPipelineExecutor
from datatrove.executor.base import PipelineExecutor
from datatrove.utils.stats import PipelineStats

from dataset_builder.build.execution import RAY, SLURM, Execution
from dataset_builder.pipeline.resources import Resources
from dataset_builder.pipeline.stage import Stage
from retrieval.device import LOCAL_RANK_VARIABLE
from retrieval.errors import InputError
from retrieval.provenance import CHECKOUT

RAY_ADDRESS = "RAY_ADDRESS"


def open_executor(execution: Execution, stage: Stage, previous: PipelineExecutor | None) -> PipelineExecutor:
    """The executor of one stage, which runs after `previous`.

    datatrove's own marks are one a task and no part of a build's state: a stage knows what is done by its files.
    """
    tasks = min(execution.tasks, stage.max_tasks)
    workers = min(execution.workers, tasks)
    logs = str(stage.folder.logs(stage.name).absolute())
    needed = stage.resources(execution)
    if execution.executor == RAY:
        _join_ray()
        _check_nodes(stage.name, needed)
        return RayPipelineExecutor(
            [stage],
            tasks,
            workers,
            cpus_per_task=needed.cpus,
            mem_per_cpu_gb=needed.memory_a_cpu,
            gpus_per_task=needed.gpus,
            logging_dir=logs,
            skip_completed=False,
        )
    if execution.executor == SLURM:
        return SlurmPipelineExecutor(
            [stage],
            tasks,
            execution.time_limit,
            execution.partition,
            cpus_per_task=needed.cpus,
            mem_per_cpu_gb=needed.memory_a_cpu,
            gpus_per_task=needed.gpus,
            workers=workers,
            job_name=f"twolar-{stage.name}",
            env_command=f"source {sys.prefix}/bin/activate; export PYTHONPATH={CHECKOUT}",
            depends=previous,
            logging_dir=logs,
            skip_completed=False,
        )
    return LocalExecutor([stage], tasks, workers, logging_dir=logs, skip_completed=False)


class LocalExecutor(LocalPipelineExecutor):
    """Tells a task which of the workers it runs in, so that each takes a GPU of its own."""

    def run(self) -> PipelineStats | None:
        """Run all tasks; with one worker in this process alone: a helper of datatrove's would outlive a kill of it."""
        if self.workers > 1:
            return super().run()
        for rank in range(self.world_size):
            self._run_for_rank(rank)
        return None

    def _run_for_rank(self, rank: int, local_rank: int = 0, node_rank: int = -1) -> PipelineStats:
        os.environ[LOCAL_RANK_VARIABLE] = str(local_rank)
        return super()._run_for_rank(rank, local_rank, node_rank)


def _check_nodes(stage: str, needed: Resources) -> None:
    """Raise `InputError` where no machine of the Ray cluster is large enough: Ray itself would wait for one."""
    import ray

    wanted = {"CPU": needed.cpus, "GPU": needed.gpus, "memory": needed.cpus * needed.memory_a_cpu * 2**30}
    nodes = [node["Resources"] for node in ray.nodes() if node["Alive"]]
    if not any(all(node.get(name, 0) >= least for name, least in wanted.items()) for node in nodes):
        raise InputError(
            f"no machine of the Ray cluster has the {needed.cpus} CPUs, {needed.memory} GB and {needed.gpus} GPUs that "
            f"a task of stage {stage} asks for; lower --cpus, --memory or --gpus"
        )


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
