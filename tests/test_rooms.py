"""Where things live: imports run one way, and README's map is what git holds."""

import ast
import re
import subprocess
from graphlib import TopologicalSorter
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[1]

# Room → the rooms that it may import.
ALLOWED = {
    "packaged": "",
    "modeling_twolar": "",
    "retrieval": "packaged modeling_twolar",
    "dataset_builder": "retrieval modeling_twolar evaluation",
    "evaluation": "retrieval modeling_twolar",
    "training": "retrieval modeling_twolar evaluation",
    "train_hf": "retrieval training",
    "model_cards": "retrieval modeling_twolar evaluation training",
    "serving": "retrieval modeling_twolar",
    "spaces_demo": "",
    "twolar_cli": "retrieval",
    "benchmarks": "retrieval modeling_twolar dataset_builder training",
}
# The rooms of dataset_builder/; each may import those before it.
FLOORS = (
    "ranking_example", "prompt_files", "build", "pools", "teacher_name", "language_models", "teachers", "queries",
    "dataset", "pipeline", "report", "commands", "__main__",
)  # fmt: skip


# What takes seconds to import.
HEAVY = {
    "datasets", "datatrove", "evaluate", "faiss", "matplotlib", "openai", "pyserini", "sentence_transformers",
    "torch", "transformers",
}  # fmt: skip
COMMANDS = (
    "dataset_builder.__main__", "evaluation.__main__", "evaluation.ablations.__main__", "model_cards.publish",
    "model_cards.readme", "serving.__main__", "serving.export", "serving.mcp", "train_hf",
    "training.calibrate", "training.cross_validation.__main__", "twolar_cli.__main__", "twolar_cli.doctor",
)  # fmt: skip


def tracked():
    listed = subprocess.run(["git", "ls-files"], cwd=ROOT, capture_output=True, text=True, check=True).stdout
    return [Path(line) for line in listed.splitlines() if (ROOT / line).is_file()]


def module_name(path):
    parts = path.with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


@pytest.fixture(scope="module")
def modules():
    """{module: path} of all rooms."""
    paths = [
        path for path in tracked() if path.suffix == ".py" and module_name(path).split(".")[0] in ALLOWED
    ]
    return {module_name(path): path for path in paths}


@pytest.fixture(scope="module")
def imports(modules):
    """{module: modules of ours that it imports, also inside of functions}"""
    return {name: set(imported(name, path, modules)) for name, path in modules.items()}


def imported(name, path, modules):
    nodes = ast.walk(ast.parse((ROOT / path).read_text()))
    return (each for each in imported_names(nodes, name, path, modules) if each in modules)


def imported_names(nodes, name, path, modules):
    """What the import statements among `nodes` name; a name from a module of ours counts if it is a module itself."""
    package = name if path.name == "__init__.py" else name.rpartition(".")[0]
    for node in nodes:
        if isinstance(node, ast.Import):
            found = [alias.name for alias in node.names]
        elif isinstance(node, ast.ImportFrom):
            above = (
                ".".join(package.split(".")[: len(package.split(".")) - node.level + 1]) if node.level else ""
            )
            base = ".".join(part for part in (above, node.module) if part)
            found = [
                f"{base}.{alias.name}" if f"{base}.{alias.name}" in modules else base for alias in node.names
            ]
        else:
            continue
        # The Space is uploaded as a folder of its own: its files import each other by bare names.
        yield from (f"{package}.{each}" if f"{package}.{each}" in modules else each for each in found)


def test_each_room_imports_only_the_rooms_below_it(imports):
    wrong = [
        f"{name} imports {other}"
        for name, others in imports.items()
        for other in others
        if other.split(".")[0] not in [name.split(".")[0], *ALLOWED[name.split(".")[0]].split()]
    ]
    assert wrong == []


def test_the_paper_s_steps_import_only_those_before_them(imports):
    inside = {name: name.split(".")[1] for name in imports if name.startswith("dataset_builder.")}
    assert set(inside.values()) == set(FLOORS)
    wrong = [
        f"{name} imports {other}"
        for name, room in inside.items()
        for other in imports[name] & inside.keys()
        if FLOORS.index(inside[other]) > FLOORS.index(room)
    ]
    assert wrong == []


def test_what_is_packaged_is_found_through_its_one_door(imports):
    users = {name for name, others in imports.items() if any(each.startswith("packaged") for each in others)}
    outside = {name for name in users if not name.startswith("packaged")}
    assert outside == {"retrieval.corpus", "retrieval.model_files"}
    assert all(imports[name] & {"packaged.models", "packaged.stdlib_docstrings"} == set() for name in outside)


def test_no_module_imports_itself_in_a_circle(imports):
    order = list(TopologicalSorter(imports).static_order())
    assert order.index("retrieval.errors") < order.index("evaluation.run") and len(order) == len(imports)


@pytest.mark.parametrize("command", COMMANDS)
def test_help_imports_nothing_that_takes_seconds(command, modules):
    reached, waiting = set(), {command}
    while waiting:
        name = waiting.pop()
        reached.add(name)
        if name in modules:
            nodes = ast.parse((ROOT / modules[name]).read_text()).body
            found = {*imported_names(nodes, name, modules[name], modules), *packages_of(name)}
            waiting |= found - reached
    assert "retrieval.errors" in reached
    assert {name.split(".")[0] for name in reached} & HEAVY == set()


def packages_of(name):
    parts = name.split(".")
    return {".".join(parts[:length]) for length in range(1, len(parts))}


def test_no_file_of_code_is_longer_than_300_lines():
    code = [path for path in tracked() if path.suffix in (".py", ".js", ".css")]
    lengths = {str(path): len((ROOT / path).read_text().splitlines()) for path in code}
    assert {path: length for path, length in lengths.items() if length > 300} == {}


def test_the_map_in_the_readme_is_what_git_holds():
    tree = (ROOT / "README.md").read_text().split("## Map")[1].split("```")[3]
    listed = named_in(tree.strip("\n").splitlines())
    files = tracked()
    missing = [path for path in listed if not any(path == file or path in file.parents for file in files)]
    assert missing == []
    rooms = {
        Path(file.parts[0]) for file in files if len(file.parts) > 1 and not file.parts[0].startswith(".")
    }
    steps = {
        Path(*file.parts[:2]) for file in files if file.parts[0] == "dataset_builder" and len(file.parts) > 2
    }
    assert sorted(rooms | steps - set(listed)) == sorted(rooms)
    assert sorted(rooms - set(listed)) == []


def named_in(lines):
    """The paths in the first column; those of an indented line lie in the room above it."""
    paths, room = [], Path()
    for line in lines:
        names = [Path(name) for name in re.split(r"\s{2,}", line.strip())[0].split(", ")]
        if line.startswith("  "):
            names = [room / name for name in names]
        else:
            (room,) = names
        paths += names
    return paths
