"""Every label exists in both languages, and every name that a gate uses has a title for people."""

from __future__ import annotations

import re
import string

import pytest

from practicum_core.curriculum import UNITS
from practicum_core.stages import STAGES
from practicum_core.texts import Bilingual
from practicum_jobs.audit.catalogue import CATALOGUE
from practicum_jobs.render import titles as names
from practicum_jobs.render.figures import get_title
from practicum_jobs.report import messages, titles

CHINESE = re.compile(r"[\u4e00-\u9fff]")
SAME_IN_BOTH = {"SHA-256", "Python", "{name}", "{before} → {after}"}


def _list_texts():
    for module in (messages, names, titles):
        for name, value in vars(module).items():
            if name.isupper():
                yield from ((f"{name}.{key}", text) for key, text in _walk(value))
    for spec in STAGES.values():
        yield spec.name, spec.title
        yield from ((f"{spec.name}.{key}", title.title) for key, title in spec.metrics.items())
        yield from ((f"{spec.name}.{key}", title) for key, title in spec.failures.items())


def _walk(value, key=""):
    if isinstance(value, Bilingual):
        yield key, value
    elif isinstance(value, dict):
        for inner, one in value.items():
            yield from _walk(one, inner)
    elif isinstance(value, tuple):
        for one in value:
            yield from _walk(one, key)


TEXTS = list(_list_texts())


def test_the_catalogue_is_found():
    assert len(TEXTS) > 200


@pytest.mark.parametrize(("name", "text"), TEXTS, ids=[name for name, _ in TEXTS])
def test_both_languages_say_something_with_the_same_fields(name, text):
    assert not CHINESE.search(text.en)
    if text.en not in SAME_IN_BOTH:
        assert CHINESE.search(text.zh) or text.zh in {"GPU", "SHA-256"}
    assert _get_fields(text.en) == _get_fields(text.zh)


def _get_fields(text):
    return {field for _, field, _, _ in string.Formatter().parse(text) if field}


@pytest.mark.parametrize("unit", [unit for unit in UNITS.values() if unit.is_implemented], ids=lambda unit: unit.name)
def test_names_of_the_curriculum_have_titles(unit):
    for gate in unit.gates:
        assert get_title(gate.metric).title.en != gate.metric, gate.metric
    for row in unit.requirements:
        assert row in titles.COURSE_ROWS
        assert row in titles.COURSE_ROW_SECTIONS


def test_sections_named_by_course_rows_exist_and_every_section_can_be_read():
    for slugs in titles.COURSE_ROW_SECTIONS.values():
        assert set(slugs) <= set(messages.SECTIONS)
    assert set(messages.SECTIONS) == set(messages.READING)


def test_the_audit_and_the_pack_call_defects_alike():
    for name, kind in CATALOGUE.items():
        assert names.FINDINGS[name] == kind.title, name


def test_a_missing_language_is_refused():
    with pytest.raises(ValueError, match="misses a language"):
        Bilingual("words", "")
