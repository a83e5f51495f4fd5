"""What the user should know while a build goes on, beside its progress."""

import sys

from tqdm import tqdm


def note(text: str) -> None:
    """Print a line that leaves progress bars whole."""
    tqdm.write(f"note: {text}", file=sys.stderr)
