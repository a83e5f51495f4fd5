"""How far the stages of a build are."""

from dataclasses import dataclass

from dataset_builder.build.folder import BuildFolder
from dataset_builder.pipeline.stages import STAGES


@dataclass(frozen=True, slots=True)
class StageProgress:
    """How far a stage is: whether it was begun, and how many of its tasks are done."""

    name: str
    begun: bool
    tasks_done: int

    def __str__(self) -> str:
        """In words."""
        return f"{self.tasks_done} tasks done" if self.tasks_done else "begun" if self.begun else "to do"


def stage_progress(folder: BuildFolder) -> list[StageProgress]:
    """How far each stage of a build is, as datatrove's marks say."""
    return [
        StageProgress(
            stage.name,
            begun=folder.logs(stage.name).is_dir(),
            tasks_done=len(list((folder.logs(stage.name) / "completions").glob("*"))),
        )
        for stage in STAGES
    ]
