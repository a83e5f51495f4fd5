"""Where a build's stages run: on this machine, or on a Ray or Slurm cluster."""

import importlib.util
import shutil
from dataclasses import dataclass
from pathlib import Path

from retrieval.errors import InputError

LOCAL, RAY, SLURM = "local", "ray", "slurm"


@dataclass(frozen=True, slots=True)
class Execution:
    """How a build's stages are executed. None of it changes the dataset, but for one thing: the scores of a reranker
    that keeps passages' vectors differ in their last digits with `tasks`, which says what shares a batch.

    `tasks`: among how many the shards of pools and rankings are shared out. `workers`: how many of them run at once;
    both may change from run to run. `partition`, `time_limit`: of a Slurm job. `memory`, in GB, `cpus` and `gpus`: of a
    task on Slurm or Ray that indexes, searches or runs a model; others get less. All machines must share the build's
    folder and that of `artifacts`, the parts that builds share; "" for the one below Hugging Face's.
    """

    executor: str = LOCAL
    tasks: int = 1
    workers: int = 1
    partition: str = ""
    time_limit: str = "24:00:00"
    memory: int = 16
    cpus: int = 4
    gpus: int = 0
    artifacts: str = ""

    @property
    def artifact_folder(self) -> Path:
        """Where shared parts lie."""
        from huggingface_hub.constants import HF_HOME

        return Path(self.artifacts or Path(HF_HOME) / "twolar")

    def check(self) -> None:
        """Find what is missing before a build begins.

        Raises:
            InputError: for an executor whose cluster cannot be reached from here.
        """
        if self.tasks < 1 or self.workers < 1:
            raise InputError("--tasks and --workers must be at least 1")
        if self.memory < 1 or self.cpus < 1 or self.gpus < 0:
            raise InputError("--memory and --cpus must be at least 1, and --gpus at least 0")
        if self.executor == RAY and importlib.util.find_spec("ray") is None:
            raise InputError("--executor ray needs Ray; install it with pip install ray")
        if self.executor == SLURM and shutil.which("sbatch") is None:
            raise InputError("--executor slurm needs sbatch; run it on a machine that submits Slurm jobs")
        if self.executor == SLURM and not self.partition:
            raise InputError("--executor slurm needs --partition")
