"""What a model is called in what is published."""

import os


def published_name(name_or_path: str) -> str:
    """A Hub name as it is; of a folder its last part, for its path is this machine's."""
    return os.path.basename(os.path.abspath(name_or_path)) if os.path.isdir(name_or_path) else name_or_path
