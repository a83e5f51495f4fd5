"""How far the stages of a build are."""

from dataclasses import dataclass

from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.pipeline.stages import STAGES


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage is: whether it was begun, and how many of its parts are done."""

    name: str
    begun: bool
    parts_done: int
    parts: int

    @property
    def is_done(self) -> bool:
        """Whether nothing is left to do."""
        return self.parts_done == self.parts

    def __str__(self) -> str:
        """In words."""
        if self.is_done:
            return "done"
        if self.parts_done:
            return f"{self.parts_done} of {self.parts} parts done"
        return "begun" if self.begun else "to do"


def stage_progress(folder: BuildFolder, settings: BuildSettings) -> list[StageProgress]:
    """How far each stage of a build is, as its files say."""
    marks = {stage.name: stage.marks(folder, settings) for stage in STAGES}
    return [
        StageProgress(name, folder.logs(name).is_dir(), sum(path.exists() for path in paths), len(paths))
        for name, paths in marks.items()
        if paths
    ]
