"""Pools of phrases for the ticket generator, one pool per language and split.

The pools of validation and test share nothing with those of train; ``tests/unit/datasets`` checks this.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

CATEGORIES = ("refund", "delivery", "damage", "billing", "account")
"""What a ticket can be about, in the order in which rows rotate through it."""


@dataclass(frozen=True)
class NoteTemplate:
    """A knowledge-base note with a question whose answer stands in it.

    The fields are format strings over ``p`` (product), ``c`` (city) and ``n`` (a number).
    """

    note: str
    question: str
    answer: str


@dataclass(frozen=True)
class PhrasePool:
    """Words of one language and split.

    ``problems`` are format strings over ``p`` (product), ``o`` (order) and ``c`` (city); ``amounts`` over ``a``.
    ``openings`` may hold the empty string, which every split shares.
    """

    problems: Mapping[str, tuple[str, ...]]
    openings: tuple[str, ...]
    amounts: tuple[str, ...]
    urgent: tuple[str, ...]
    calm: tuple[str, ...]
    products: tuple[str, ...]
    cities: tuple[str, ...]
    notes: tuple[NoteTemplate, ...]


@dataclass(frozen=True)
class LanguagePack:
    """Everything of one language: prompts, glue and the pools of train, validation and test."""

    language: str
    extract_prompt: str
    question_prompt: str
    note_form: str
    glue: str
    pools: Mapping[str, PhrasePool]
