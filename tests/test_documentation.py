"""What README and docs/ say: commands whose flags exist, files that are there, links that lead somewhere."""

import re
from functools import cache
from pathlib import Path

import pytest

from tests.command_line import ROOT, run_module
from twolar_cli.commands import COMMANDS

FIRST_PAGES = ("README.md", "SKILL.md", "llms.txt", "CONTRIBUTING.md", "CHANGELOG.md", "evaluation/README.md")
PAGES = [*(ROOT / name for name in FIRST_PAGES), *sorted((ROOT / "docs").glob("*.md"))]
COMMAND = re.compile(
    r"(?:python (?:-m (?P<module>[\w.]+)|(?P<script>train_hf)\.py)"
    rf"|\btwolar (?P<twolar>{'|'.join(COMMANDS)})\b)(?P<rest>(?: \\\n|[^\n`])*)"
)
SUBCOMMANDS = {"dataset_builder"}


def commands():
    for page in PAGES:
        for found in COMMAND.finditer(page.read_text()):
            words = found["rest"].replace("\\\n", " ").split()
            module = found["module"] or found["script"]
            if found["twolar"]:
                command = COMMANDS[found["twolar"]]
                module, words = command.module, [*command.before, *words]
            sub = words[0] if module in SUBCOMMANDS and words and re.fullmatch(r"[a-z-]+", words[0]) else ""
            flags = [word for word in words if re.fullmatch(r"--\w+", word)]
            yield page.relative_to(ROOT).as_posix(), module, sub, flags


@cache
def help_of(module, sub):
    result = run_module(module, *([sub] if sub else []), "--help")
    assert result.returncode == 0, result.stderr
    return set(re.findall(r"--\w+", result.stdout))


def test_every_command_is_one_of_ours_and_its_flags_exist():
    found = list(commands())
    assert len(found) > 15
    ours = [entry for entry in found if (ROOT / entry[1].replace(".", "/")).exists() or entry[1] == "train_hf"
            or (ROOT / (entry[1].replace(".", "/") + ".py")).exists()]  # fmt: skip
    assert ours == found
    wrong = [
        (page, module, flag)
        for page, module, sub, flags in found
        for flag in flags
        if flag not in help_of(module, sub)
    ]
    assert wrong == []


def test_the_readmes_first_lines_of_python_put_the_answer_first(capsys):
    snippet = re.search(r"```python\n(.*?)```", (ROOT / "README.md").read_text(), re.DOTALL)
    exec(compile(snippet[1], "README.md", "exec"), {})
    printed = capsys.readouterr().out.splitlines()
    assert len(printed) == 3
    assert printed[0].endswith("A deque with a maximum length keeps the newest items.")


@pytest.mark.parametrize("page", PAGES, ids=lambda page: page.relative_to(ROOT).as_posix())
def test_links_lead_to_files(page):
    links = re.findall(r"\]\(([^)#]+?)(?:#[^)]*)?\)", page.read_text())
    missing = [
        link for link in links if not link.startswith("http") and not (page.parent / Path(link)).exists()
    ]
    assert missing == []


def test_what_a_first_visit_reads_is_short():
    before_the_map = (ROOT / "README.md").read_text().split("## Map")[0]
    assert len(before_the_map.split()) <= 600
