"""What the documents tell people to type exists, and both READMEs tell the same."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from practicum_core.errors import Reason
from practicum_core.scorers import ScorerOptions

ROOT = Path(__file__).parents[2]
DOCUMENTS = sorted(
    path
    for path in [*ROOT.glob("*.md"), *ROOT.glob("images/*.md"), *(ROOT / "docs").rglob("*.md")]
    if "CHANGELOG" not in path.name
)
CODE = re.compile(r"`(\w+)`")
FENCE = re.compile(r"^```(?:sh|bash|console)\n(.*?)^```", re.MULTILINE | re.DOTALL)


def read_commands(path: Path) -> list[str]:
    blocks = FENCE.findall(path.read_text(encoding="utf-8"))
    lines = [line.removeprefix("$ ").strip() for block in blocks for line in block.splitlines()]
    return [line.split("  #")[0].strip() for line in lines if line and not line.startswith("#")]


def read_make_targets() -> set[str]:
    return set(re.findall(r"^([a-z][a-z0-9-]*):", (ROOT / "Makefile").read_text(encoding="utf-8"), re.MULTILINE))


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_links_inside_the_repository_lead_somewhere(path):
    targets = re.findall(r"\]\(([^)#:]+)(?:#[^)]*)?\)", path.read_text(encoding="utf-8"))
    missing = [target for target in targets if not (path.parent / target).exists()]
    assert missing == []


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_make_targets_that_documents_name_exist(path):
    named = set(re.findall(r"`make ([a-z0-9-]+)", path.read_text(encoding="utf-8")))
    named |= {word for line in read_commands(path) if line.startswith("make ") for word in line.split()[1:2]}
    assert named <= read_make_targets()


def test_both_readmes_show_the_same_commands():
    english, chinese = (read_commands(ROOT / name) for name in ("README.md", "README.zh-CN.md"))
    assert english == chinese
    assert {"make run", "make test"} <= set(english)


def test_both_languages_of_the_evaluation_say_the_same():
    english, chinese = (ROOT / "docs" / f"evaluation{suffix}.md" for suffix in ("", ".zh-CN"))
    assert read_commands(english) == read_commands(chinese)
    assert set(CODE.findall(english.read_text(encoding="utf-8"))) == set(
        CODE.findall(chinese.read_text(encoding="utf-8"))
    )


def test_the_scorers_that_the_evaluation_explains_are_all_there():
    table = (ROOT / "docs/evaluation.md").read_text(encoding="utf-8").partition("| kind |")[2].partition("\n\n")[0]
    named = {kind for line in table.splitlines() if line.startswith("| `") for kind in CODE.findall(line.split("|")[1])}
    assert named == {one.model_fields["kind"].default for one in ScorerOptions.__subclasses__()}


def test_both_languages_of_the_operations_say_the_same():
    english, chinese = (ROOT / "docs" / f"operations{suffix}.md" for suffix in ("", ".zh-CN"))
    assert read_commands(english) == read_commands(chinese)
    assert read_reasons(english) == read_reasons(chinese)


def read_reasons(path: Path) -> list[str]:
    table = path.read_text(encoding="utf-8").rpartition("|---|---|---|\n")[2]
    return [name for line in table.splitlines() if line.startswith("|") for name in CODE.findall(line.split("|")[1])]


def test_reasons_that_the_operations_explain_exist():
    reasons = read_reasons(ROOT / "docs/operations.md")
    assert len(reasons) >= 10
    assert set(reasons) <= {reason.value for reason in Reason}


@pytest.mark.parametrize("path", DOCUMENTS, ids=lambda path: path.name)
def test_files_that_commands_apply_exist(path):
    named = [file for line in read_commands(path) for file in re.findall(r"(?:manifests|charts)/[\w./-]+", line)]
    assert [file for file in named if not (ROOT / file).exists()] == []


def test_every_target_is_listed_by_help():
    text = (ROOT / "Makefile").read_text(encoding="utf-8")
    phony = set(re.search(r"^\.PHONY: (.*)$", text, re.MULTILINE)[1].split())
    helped = set(re.findall(r"^([a-z0-9-]+):.*## ", text, re.MULTILINE))
    assert phony == helped
