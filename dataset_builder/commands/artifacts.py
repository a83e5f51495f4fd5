"""What builds share: every passage store and index, with its size and the builds that use it."""

from dataset_builder.build.artifacts import Artifact, Artifacts

NUM_SHOWN = 3
UNITS = ("B", "KB", "MB", "GB")


def describe_artifacts(artifacts: Artifacts, delete_unused: bool) -> str:
    """A line for each part, then their sum.

    Args:
        delete_unused: first delete the parts that no build uses, and say which.
    """
    deleted = artifacts.delete_unused() if delete_unused else []
    lines = [f"deleted: {each.key} ({_size(each.size)})" for each in deleted]
    kept = list(artifacts.listed())
    lines += [f"{each.key}: {_size(each.size)}, {_use(each)}" for each in kept]
    unused = sum(each.size for each in kept if not each.used_by)
    hint = f"; {_size(unused)} unused, --delete_unused frees them" if unused else ""
    return "\n".join(
        [*lines, f"{artifacts.root}: {len(kept)} parts, {_size(sum(e.size for e in kept))}{hint}"]
    )


def _use(artifact: Artifact) -> str:
    if not artifact.is_whole:
        return "unfinished"
    # Links lie in a build's `build/`.
    builds = [str(folder.parent) for folder in artifact.used_by]
    more = f" and {len(builds) - NUM_SHOWN} more" if len(builds) > NUM_SHOWN else ""
    return f"used by {', '.join(builds[:NUM_SHOWN])}{more}" if builds else "unused"


def _size(count: int) -> str:
    value = float(count)
    for unit in UNITS[:-1]:
        if value < 1000:
            return f"{value:.0f} {unit}"
        value /= 1000
    return f"{value:.1f} {UNITS[-1]}"
