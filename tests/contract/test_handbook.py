"""The handbook: a page in both languages for each week, with the same commands, which the command understands."""

from __future__ import annotations

import re
import shlex
from pathlib import Path

import click
import pytest

from practicum_cli.main import practicum
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_core.curriculum import UNITS, VARIANTS, get_unit

HANDBOOK = Path(__file__).parents[2] / "docs/handbook"
PAGES = sorted(path.relative_to(HANDBOOK / "en") for path in (HANDBOOK / "en").glob("*.md"))
BLOCK = re.compile(r"^```sh\n(.*?)^```", re.MULTILINE | re.DOTALL)
INLINE = re.compile(r"`(practicum [^`]+)`")
HEADING = re.compile(r"^## .*\n", re.MULTILINE)
FACT = re.compile(r"(?<![A-Za-z])[0-9]+(?:[.,][0-9]+)*|`[^`]+`")
"""A number, or what is typed or named as it is: the same in both languages."""


def read_commands(path):
    text = path.read_text(encoding="utf-8")
    lines = [line for block in BLOCK.findall(text) for line in block.splitlines()] + INLINE.findall(text)
    return [shlex.split(line, comments=True) for line in lines if line.startswith("practicum")]


COMMANDS = sorted({tuple(words) for page in PAGES for words in read_commands(HANDBOOK / "en" / page)})


def test_pages_stand_in_both_languages_for_weeks_and_added_units():
    assert [path.relative_to(HANDBOOK / "zh") for path in sorted((HANDBOOK / "zh").glob("*.md"))] == PAGES
    for page in PAGES:
        unit = get_unit(page.stem).name if page.stem.startswith("week-") else page.stem
        assert unit in UNITS


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_both_languages_say_the_same_commands_rows_and_sections(page):
    texts = [(HANDBOOK / language / page).read_text(encoding="utf-8") for language in ("en", "zh")]
    commands = [read_commands(HANDBOOK / language / page) for language in ("en", "zh")]
    assert commands[0] == commands[1]
    assert commands[0]
    for pattern in (r"^#+ ", r"W[0-9]+\.[0-9]|V[0-9]+\.[0-9]", r"^- \*", r"`[a-z_-]+`"):
        first, second = (len(re.findall(pattern, text, re.MULTILINE)) for text in texts)
        assert first == second, pattern


@pytest.mark.parametrize("page", PAGES, ids=str)
def test_both_languages_of_a_workshop_hold_the_same_numbers_and_names(page):
    texts = [(HANDBOOK / language / page).read_text(encoding="utf-8") for language in ("en", "zh")]
    first, second = (FACT.findall(re.sub("```", "", HEADING.split(text)[3])) for text in texts)
    assert sorted(map(_join, first)) == sorted(map(_join, second))


def _join(fact):
    return " ".join(fact.split())


@pytest.mark.parametrize("language", ["en", "zh"])
def test_every_workshop_begins_with_the_same_words_on_how_to_start(language):
    pages = [(HANDBOOK / language / page).read_text(encoding="utf-8") for page in PAGES]
    starts = {HEADING.split(page)[3].split("\n```\n")[0] for page in pages}
    assert len(starts) == 1
    assert "make setup && . .venv/bin/activate" in starts.pop()


@pytest.mark.parametrize("words", COMMANDS, ids=" ".join)
def test_a_command_of_the_handbook_is_understood(words):
    context = click.Context(practicum)
    name, command, arguments = practicum.resolve_command(context, list(words[1:]))
    while isinstance(command, click.Group):
        name, command, arguments = command.resolve_command(context, arguments)
    if arguments == ["--help"]:
        return
    parsed = command.make_context(name, arguments, parent=context)
    if words[1] == "run" and not parsed.params["resume"]:
        given = parsed.params
        variant = int(given["variant"]) if given["variant"] else None
        request = RunRequest(overrides=given["overrides"], profile="quick", seed=given["seed"], variant=variant)
        assert build_weekjobs(given["weeks"], request)


def test_every_week_of_ten_is_in_the_handbook():
    weeks = [f"week-{number:02d}" for number, _ in enumerate(VARIANTS[10], start=1)]
    assert [week for week in weeks if Path(f"{week}.md") not in PAGES] == []
