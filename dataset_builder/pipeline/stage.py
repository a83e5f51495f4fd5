"""What all stages of a build have in common: each is a datatrove `PipelineStep`, and its files say what is done."""

from collections.abc import Sequence
from contextlib import chdir
from pathlib import Path

from datatrove.data import DocumentsPipeline
from datatrove.pipeline.base import PipelineStep

from dataset_builder.build.artifacts import BuildParts
from dataset_builder.build.execution import Execution
from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.language_models.access import TeacherAccess
from dataset_builder.pipeline.resources import LIGHT, Resources


class Stage(PipelineStep):
    """A stage of a build. `run` reads and writes the build's folder; nothing is piped between stages.

    What is done is told by the files that it leaves, whatever tasks left them: tasks may change from run to run.
    """

    type = "TWOLAR"

    def __init__(
        self, folder: BuildFolder, settings: BuildSettings, access: TeacherAccess, parts: BuildParts
    ) -> None:
        super().__init__()
        self.folder = folder
        self.settings = settings
        self.access = access
        self.parts = parts
        # On a cluster, a task begins in another folder.
        self.begun_in = Path.cwd()

    @classmethod
    def marks(cls, folder: BuildFolder, settings: BuildSettings) -> Sequence[Path]:
        """The files and folders of this stage's parts: each gets its name when all that it holds is there."""
        raise NotImplementedError

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return all(mark.exists() for mark in self.marks(self.folder, self.settings))

    @property
    def max_tasks(self) -> int:
        """Among how many tasks it can be shared out."""
        return 1

    def resources(self, execution: Execution) -> Resources:
        """What a task needs."""
        return LIGHT

    def run(self, data: DocumentsPipeline = None, rank: int = 0, world_size: int = 1) -> DocumentsPipeline:
        """Do task `rank` of `world_size`, in the folder that relative paths start from; yields nothing."""
        with chdir(self.begun_in), self.track_time("task"):
            self.work(rank, world_size)
        return iter(())

    def work(self, rank: int, world_size: int) -> None:
        """Do this stage's work for one task."""
        raise NotImplementedError


class ShardedStage(Stage):
    """A stage whose files are the build's shards. A task takes whole ones, and those that are there are kept."""

    @staticmethod
    def shard(folder: BuildFolder, number: int) -> Path:
        """The file of a shard."""
        raise NotImplementedError

    @classmethod
    def marks(cls, folder: BuildFolder, settings: BuildSettings) -> Sequence[Path]:
        """The shards."""
        return [cls.shard(folder, number) for number in range(settings.num_shards)]

    @property
    def max_tasks(self) -> int:
        """As many as there are shards."""
        return self.settings.num_shards

    def work(self, rank: int, world_size: int) -> None:
        """Do this task's shards, but for those that are done."""
        own = range(rank, self.settings.num_shards, world_size)
        missing = [number for number in own if not self.shard(self.folder, number).is_file()]
        if missing:
            self.work_on(missing, rank, world_size)

    def work_on(self, shards: Sequence[int], rank: int, world_size: int) -> None:
        """Do these shards, of task `rank`."""
        raise NotImplementedError
