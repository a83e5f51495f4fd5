"""`twolar COMMAND ...`, and `twolar COMMAND --help` for a command's own flags."""

import runpy
import sys
from difflib import get_close_matches

from retrieval.errors import InputError, run_cli
from retrieval.release import NAME, missing_packages, release_version
from twolar_cli.commands import COMMANDS, Command


def main() -> None:
    """Run the command that the first word names, as `python -m` would run its module."""
    name, *words = sys.argv[1:] or ["--help"]
    if name in ("-h", "--help"):
        print(_help())
    elif name == "--version":
        print(f"{NAME} {release_version()}")
    else:
        _run(_command(name), words)


def entry_point() -> None:
    """What the installed script `twolar` calls."""
    run_cli(main)


def _run(command: Command, words: list[str]) -> None:
    missing = missing_packages(command.extra) if command.extra else []
    if missing:
        packages = ", ".join(missing[:3]) + (", ..." if len(missing) > 3 else "")
        raise InputError(
            f"this needs the extra [{command.extra}] (missing: {packages}): "
            f'pip install ".[{command.extra}]" in the checkout'
        )
    sys.argv[1:] = [*command.before, *words]
    # Not a process of its own: `python -m` would take a folder of the same name, where it is called, for the module.
    runpy.run_module(command.module, run_name="__main__", alter_sys=True)


def _command(name: str) -> Command:
    if name not in COMMANDS:
        near = get_close_matches(name, COMMANDS, n=1)
        mend = f"did you mean {near[0]}?" if near else f"{NAME} --help lists them"
        raise InputError(f"there is no command {name!r}; {mend}")
    return COMMANDS[name]


def _help() -> str:
    width = max(map(len, COMMANDS))
    lines = [f"  {name:<{width}}  {command.about}" for name, command in COMMANDS.items()]
    return "\n".join([f"usage: {NAME} COMMAND ...", "", *lines, "", f"{NAME} COMMAND --help: its flags"])


if __name__ == "__main__":
    run_cli(main)
