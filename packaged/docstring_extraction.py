"""Prints the docstrings of this Python's standard library, one JSON row a line: docid, title, text.

Run as a script in a fresh interpreter by `docstrings.py`, so it imports the standard library alone.
"""

import builtins
import contextlib
import importlib
import inspect
import io
import json
import pkgutil
import sys
import warnings
from collections.abc import Iterator
from types import ModuleType
from typing import NamedTuple

# Left out: modules that act or print when imported (antigravity, this, rlcompleter), Python's own tests,
# machine-made tables (encodings), platform modules that os.path stands for, what needs Tk, which many
# machines lack, and distutils, whose name setuptools takes over.
SKIPPED = frozenset(
    [
        "antigravity",
        "distutils",
        "encodings",
        "genericpath",
        "idlelib",
        "lib2to3",
        "ntpath",
        "posixpath",
        "rlcompleter",
        "test",
        "tests",
        "this",
        "tkinter",
        "turtle",
        "turtledemo",
    ]
)
WITHOUT_A_FILE = ["collections.abc", "os.path"]  # names that another module is imported as
MIN_WORDS = 2


class _Docstring(NamedTuple):
    qualified_name: str
    own_path: str  # what the object calls itself: an alias has another qualified name, not another path
    text: str
    num_ancestors: int  # of the class that a method was found in


def docstring_rows() -> Iterator[tuple[str, str, str]]:
    """(docid, title, text) of each docstring, ordered by docid; see `stdlib_docstrings`."""
    by_content: dict[tuple[str, str], list[_Docstring]] = {}
    # All are imported before any is read: an import can set an attribute of the package above it.
    for module_name, module in list(_public_modules()):
        for docstring in _docstrings_of(module_name, module):
            by_content.setdefault((_last_part(docstring.own_path), docstring.text), []).append(docstring)
    chosen = sorted(min(same, key=_obscurity) for same in by_content.values())
    # A function may bear the name of its submodule (unittest.main): one of the two stays.
    for name, docstring in {docstring.qualified_name: docstring for docstring in chosen}.items():
        title = name.removeprefix("builtins.").replace(".", " ").replace("_", " ")
        yield name, title, docstring.text


def _obscurity(docstring: _Docstring) -> tuple[bool, int, bool, int, int, str]:
    """Least for the name a programmer would use: `asyncio.run`, not `asyncio.runners.run`."""
    name, own_path, _, num_ancestors = docstring
    is_alias = not name.endswith(own_path)
    return not name.startswith("builtins."), name.count("."), is_alias, num_ancestors, len(name), name


def _last_part(name: str) -> str:
    return name.rpartition(".")[2]


def _public_modules() -> Iterator[tuple[str, ModuleType]]:
    for name in sorted(sys.stdlib_module_names) + WITHOUT_A_FILE:
        yield from _importable(name)


def _importable(name: str) -> Iterator[tuple[str, ModuleType]]:
    """The module and, for a package, its public submodules."""
    if not _is_public(name):
        return
    try:
        module = _import_quietly(name)
    except ImportError:
        return
    yield name, module
    for submodule in pkgutil.iter_modules(getattr(module, "__path__", ())):
        yield from _importable(f"{name}.{submodule.name}")


def _is_public(name: str) -> bool:
    return not any(part.startswith("_") or part in SKIPPED for part in name.split("."))


def _import_quietly(name: str) -> ModuleType:
    silence = io.StringIO()
    with warnings.catch_warnings(), contextlib.redirect_stdout(silence), contextlib.redirect_stderr(silence):
        warnings.simplefilter("ignore")
        return importlib.import_module(name)


def _docstrings_of(module_name: str, module: ModuleType) -> Iterator[_Docstring]:
    yield from _cleaned(module_name, module)
    for name, member in _public_members(module):
        qualified_name = f"{module_name}.{name}"
        yield from _cleaned(qualified_name, member)
        if inspect.isclass(member):
            yield from _method_docstrings(qualified_name, member)


def _public_members(module: ModuleType) -> Iterator[tuple[str, object]]:
    """The classes and functions that the module offers: by `__all__`, else those that are not imported."""
    declared = getattr(module, "__all__", None)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        for name in declared or vars(module).copy():
            member = getattr(module, name, None)
            if name.startswith("_") or not (inspect.isclass(member) or inspect.isroutine(member)):
                continue
            # Some modules offer as their own what a private one (_socket) defines.
            home = getattr(member, "__module__", None) or "_"
            if declared or home == module.__name__ or home.startswith("_") or module is builtins:
                yield name, member


def _method_docstrings(class_name: str, cls: type) -> Iterator[_Docstring]:
    """Of what the class itself or a private base of it defines: the rest belongs to a public base."""
    for base in cls.__mro__:
        if base is not cls and _is_public(f"{base.__module__}.{base.__name__}"):
            continue
        for name, member in vars(base).items():
            is_method = inspect.isroutine(member) or isinstance(member, classmethod | staticmethod | property)
            if is_method and not name.startswith("_"):
                yield from _cleaned(f"{class_name}.{name}", member, num_ancestors=len(cls.__mro__))


def _cleaned(qualified_name: str, documented: object, num_ancestors: int = 0) -> Iterator[_Docstring]:
    text = documented.__doc__
    if isinstance(text, str) and len(text.split()) >= MIN_WORDS:
        own_path = getattr(documented, "__qualname__", _last_part(qualified_name))
        yield _Docstring(qualified_name, own_path, inspect.cleandoc(text), num_ancestors)


if __name__ == "__main__":
    for row in list(docstring_rows()):
        print(json.dumps(row))
