"""Files of a blind test: the sealed key, and the ratings that raters send back, with the checks before they count.

The key says for every item which side shows the candidate. Its SHA-256 is published before anyone rates, inside the
page and in the record, so that a key that was changed afterwards is noticed. A salt in the key keeps raters from
finding the assignment by trying all of them against that hash. It is derived from the samples, which raters do not
have, so that `practicum verify` makes the same page again.
"""

from __future__ import annotations

import hashlib
import json
from collections.abc import Iterable, Sequence
from enum import StrEnum
from pathlib import Path
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from practicum_core.errors import DataError
from practicum_core.problems import list_problems

KEY_NAME = "key.json"
PAGE_NAME = "blind-test.html"
RATINGS_FOLDER = "ratings"
REVEALED_NAME = "revealed.json"
MAX_RATINGS_BYTES = 1_000_000
_MAX_NAMED = 5


class Choice(StrEnum):
    """What a rater answers to one item, by the place on the page."""

    FIRST = "first"
    SECOND = "second"
    TIE = "tie"


class CheckKind(StrEnum):
    """An item that only shows whether a rater reads."""

    IDENTICAL = "identical"
    """Both sides are equal; the right answer is a tie."""
    PLANTED = "planted"
    """One side has nothing to do with the question; the right answer is the other side."""


class BlindItem(BaseModel):
    """One item as the page shows it."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    prompt: str
    first: str
    second: str


class KeyItem(BaseModel):
    """What the page does not say of an item."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    sample: str = Field(description="Id of the evaluated row.")
    task: str = ""
    group: str = ""
    prompt: str = ""
    base: str = Field(default="", description="Answer of the base model, as it was given.")
    candidate: str = Field(default="", description="Answer of the candidate, as it was given.")
    candidate_side: Choice = Field(description="Side of the candidate; of a planted pair, the side of the good answer.")
    check: CheckKind | None = None
    names_removed: list[str] = Field(default_factory=list, description="Model names that the page does not show.")


class BlindKey(BaseModel):
    """The sealed key of one blind test."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    schema_version: int = 1
    salt: str = Field(description="Unknown to raters; without it the hash would not hide the assignment.")
    seed: int
    base_model: str = ""
    candidate_model: str = ""
    items_sha256: str = Field(description="Of the items as the page shows them.")
    num_pairs: int = Field(description="Pairs that the evaluation has.")
    num_identical_pairs: int = Field(description="Pairs with equal answers; they are ties and are not shown.")
    items: list[KeyItem]


class Ratings(BaseModel):
    """What one rater sends back."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    kind: Literal["practicum-blind-ratings"]
    schema_version: Literal[1] = 1
    key_sha256: str = Field(description="Names the test: hash of its sealed key, as the page gives it.")
    items_sha256: str
    rater: str = Field(min_length=1, max_length=40, description="A free label, such as rater-1.")
    language: Literal["en", "zh"] = "en"
    answers: dict[str, Choice]


def hash_items(items: Sequence[BlindItem]) -> str:
    """Return the SHA-256 of the items as the page shows them."""
    document = [item.model_dump(mode="json") for item in items]
    return hashlib.sha256(json.dumps(document, ensure_ascii=False, sort_keys=True).encode()).hexdigest()


def read_key(path: Path, key_sha256: str) -> BlindKey:
    """Read a sealed key and check it against the hash that was published.

    Raises:
        DataError: The file is missing, is not the sealed one, or is no key.
    """
    try:
        content = path.read_bytes()
    except OSError as error:
        raise DataError(f"{path}: the sealed key cannot be read ({error.strerror})", "put the key back") from error
    found = hashlib.sha256(content).hexdigest()
    if found != key_sha256:
        raise DataError(
            f"{path}: the key is not the one that was sealed: its SHA-256 is {found}, published was {key_sha256}",
            "put the sealed key back, or make a new test; the ratings of this one prove nothing without it",
        )
    try:
        return BlindKey.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{path}: {list_problems(error, BlindKey)[0]}", "make the test again") from error


def read_ratings(path: Path) -> Ratings:
    """Read one file of ratings.

    Raises:
        DataError: It cannot be read, or is not what the page of a blind test writes.
    """
    fix = "give the file that the page of the blind test saved"
    try:
        with path.open("rb") as handle:
            content = handle.read(MAX_RATINGS_BYTES + 1)
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", fix) from error
    if len(content) > MAX_RATINGS_BYTES:
        raise DataError(f"{path}: larger than {MAX_RATINGS_BYTES:,} bytes, so no ratings", fix)
    try:
        return Ratings.model_validate_json(content)
    except ValidationError as error:
        raise DataError(f"{path}: no ratings of a blind test: {list_problems(error, Ratings)[0]}", fix) from error


def find_ratings_problem(ratings: Ratings, key: BlindKey, key_sha256: str) -> str:
    """Say why ratings cannot count for a test; empty where they can.

    Args:
        ratings: As the rater sent them.
        key: Of the test.
        key_sha256: As published.
    """
    if ratings.key_sha256 != key_sha256:
        return f"these are ratings of another page (sealed key {_cut(ratings.key_sha256)}, not {_cut(key_sha256)})"
    if ratings.items_sha256 != key.items_sha256:
        return "the page that was rated showed other items than the test has; it was edited"
    known = [item.id for item in key.items]
    unknown = sorted(set(ratings.answers) - set(known))
    if unknown:
        return f"answers to items that the test does not have: {_list(unknown)}"
    missing = [item for item in known if item not in ratings.answers]
    if missing:
        return f"incomplete: {len(missing)} of {len(known)} items have no answer ({_list(missing)})"
    return ""


def name_ratings_file(rater: str) -> str:
    """Return the file name for a rater's ratings; equal labels give equal names, whatever their case.

    >>> name_ratings_file("Rater-1 ") == name_ratings_file("rater-1")
    True
    """
    return f"{hashlib.sha256(rater.strip().casefold().encode()).hexdigest()[:16]}.json"


def _cut(sha256: str) -> str:
    return f"{sha256[:12]}…"


def _list(names: Iterable[str]) -> str:
    names = list(names)
    return ", ".join(names[:_MAX_NAMED]) + (", …" if len(names) > _MAX_NAMED else "")
