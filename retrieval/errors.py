"""The one error that means: the user's input is at fault, and here is how to mend it."""

import sys
from collections.abc import Callable


class InputError(ValueError):
    """Input that cannot be used. Its message is one line that says what, where, and how to mend it."""


def run_cli(main: Callable[[], None]) -> None:
    """Run a command line's `main`: an `InputError` becomes one line on stderr and exit code 2."""
    try:
        main()
    except InputError as error:
        print(f"error: {error}", file=sys.stderr)
        sys.exit(2)
    except KeyboardInterrupt:
        print("interrupted; the same command continues where this one stopped", file=sys.stderr)
        sys.exit(130)
