"""What a build finds made and what it will make, said before the work."""

from pathlib import Path

from dataset_builder.build.artifacts import BuildParts
from dataset_builder.build.folder import BuildFolder
from dataset_builder.build.settings import BuildSettings
from dataset_builder.pipeline.progress import stage_progress
from dataset_builder.pipeline.recipes import DRAWN, PASSAGES
from dataset_builder.pipeline.stages import DrawQueries, FillPools, LabelPools, WriteDataset
from dataset_builder.pools.methods import encoders_of_methods, index_path, indexes_of_methods
from retrieval.passage_store import PassageStore

OWN, SHARED, MISSING = "there", "there, from another build", "to make"


def describe_plan(folder: BuildFolder, settings: BuildSettings, parts: BuildParts) -> str:
    """A line for each stage, with the passages that are still to encode, where their number is known."""
    store = parts.found(PASSAGES, folder.passages)
    lines = [f"passages: {_state(store, folder.passages)}"]
    for index in indexes_of_methods(settings):
        found = parts.found(index, index_path(folder, index))
        encodes = store is not None and found is None and index in encoders_of_methods(settings)
        number = f", {len(PassageStore(store)):,} passages to encode" if store and encodes else ""
        lines.append(f"index {index}: {_state(found, index_path(folder, index))}{number}")
    drawn = parts.found(DRAWN, folder.queries)
    progress = {stage.name: stage for stage in stage_progress(folder, settings)}
    for stage in (DrawQueries, FillPools, LabelPools, WriteDataset):
        is_shared = stage in (DrawQueries, FillPools) and drawn not in (None, folder.queries)
        lines.append(f"{stage.name}: {SHARED if is_shared else progress[stage.name]}")
    return "\n".join(f"  {line}" for line in lines)


def _state(found: Path | None, own: Path) -> str:
    if found is None:
        return MISSING
    return OWN if found == own else SHARED
