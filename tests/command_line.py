"""`python -m MODULE ...` as a user types it, but in this process: what it imports is paid once, not by each call."""

import contextlib
import io
import runpy
import subprocess
import sys
import traceback
from pathlib import Path
from unittest import mock

ROOT = Path(__file__).parents[1]


def run_module(module, *arguments, cwd=ROOT):
    """What the command printed, and its exit code."""
    out, err = io.StringIO(), io.StringIO()
    code: object = 0
    with (
        mock.patch.object(sys, "argv", [module, *map(str, arguments)]),
        contextlib.chdir(cwd),
        contextlib.redirect_stdout(out),
        contextlib.redirect_stderr(err),
    ):
        try:
            runpy.run_module(module, run_name="__main__", alter_sys=True)
        except SystemExit as ended:
            code = ended.code
        except Exception:
            code = 1
            traceback.print_exc()
    returncode = code if isinstance(code, int) else int(code is not None)
    return subprocess.CompletedProcess([module, *arguments], returncode, out.getvalue(), err.getvalue())
