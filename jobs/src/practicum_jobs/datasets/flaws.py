"""The data set ``builtin:tickets-flawed`` with planted flaws: raw files, and a truth file that lists every flaw.

Every fourth line of ``train.jsonl`` is flawed; the kinds rotate (:data:`PLANTS`), so an edition of 200 lines holds each
once. ``validation.jsonl`` and ``test.jsonl`` are clean. Rows are those of ``builtin:tickets`` made longer by four
sentences, so that no two of them are near duplicates unless it was planted.

``truth.jsonl`` holds one line per flawed line: ``{"file", "line", "id", "classes", "of", "style"}``. ``id`` is null
where the line is no row; ``of`` is the row that it repeats, leaks or contradicts; ``style`` says how it was made.
Classes: ``exact_duplicate`` and ``near_duplicate`` (the later row), ``leaked_row`` (the training row; an equal or
lightly edited copy of a test row), ``conflicting_answers`` (both rows; the later one is a near duplicate as well,
since its texts differ in a word or two), ``pii:KIND``, ``secret:KIND``, ``mojibake``, ``over_long``, and the kinds of
:class:`~practicum_jobs.datasets.readers.Defect`. What "near" means: Jaccard similarity of word or character shingles
of question and answer of at least 0.8.
"""

from __future__ import annotations

import hashlib
import json
from collections import deque
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from practicum_core.rows import Row
from practicum_jobs.datasets.draws import Draw, mix
from practicum_jobs.datasets.edits import (
    edit_lightly,
    garble,
    give_other_answer,
    lengthen,
    plant_pii,
    plant_secret,
    tell_stories,
)
from practicum_jobs.datasets.planted_values import PII, SECRETS
from practicum_jobs.datasets.tickets import TicketOptions, build_rows
from practicum_jobs.storage.onceonly import ensure_folder

GENERATOR_VERSION = "tickets-flawed-2"
DEFAULT_OPTIONS = TicketOptions(rows=2000, language="both", seed=7)
FLAW_PERIOD = 4
GIANT_BYTES = 1_200_000
"""Size of the one line that is longer than any row may be."""
TRUTH_MAX_LENGTH = 1024
"""Limit in tokens for which the class ``over_long`` of the truth file holds."""

PLANTS: tuple[str, ...] = (
    *("exact_duplicate", "near_duplicate", "leaked_exact", "conflicting_answers"),
    *(f"pii:{kind}" for kind in PII),
    *("exact_duplicate", "near_duplicate", "leaked_near", "mojibake", "broken_json"),
    *(f"secret:{kind}" for kind in SECRETS),
    *("exact_duplicate", "near_duplicate", "leaked_exact", "conflicting_answers", "over_long", "invalid_utf8"),
    *("missing_column", "mojibake", "exact_duplicate", "near_duplicate", "leaked_near", "conflicting_answers"),
    *("broken_json", "wrong_type"),
)
"""What the flawed lines are, in turn."""

Truth = dict[str, Any]


def ensure_flawed(options: TicketOptions, cache_dir: Path) -> Path:
    """Return the folder of an edition in the cache, made on first use and named by options and version.

    Raises:
        PlatformError: No space or no permission.
    """
    key = hashlib.sha256(f"{GENERATOR_VERSION}?{options.to_query()}".encode()).hexdigest()[:16]
    folder = cache_dir / "datasets" / f"tickets-flawed-{key}"
    return ensure_folder(folder, lambda partial: write_flawed(options, partial), needed_bytes=options.rows * 1500)


def write_flawed(options: TicketOptions, folder: Path) -> None:
    """Write ``train.jsonl``, ``validation.jsonl``, ``test.jsonl`` and ``truth.jsonl`` into an existing folder."""
    for split in ("validation", "test"):
        with (folder / f"{split}.jsonl").open("wb") as handle:
            handle.writelines(_encode(row, row.id) for row in _build_clean(options, split))
    planter = _Planter(options)
    with (folder / "train.jsonl").open("wb") as train, (folder / "truth.jsonl").open("wb") as truth:
        for line in planter.build_lines():
            train.write(line)
            truth.writelines(_dump(entry) for entry in planter.take_truth())


def _build_clean(options: TicketOptions, split: str) -> Iterator[Row]:
    key = mix(options.seed * 31 + len(split))
    for index, row in enumerate(build_rows(options, split)):
        yield tell_stories(row, split, Draw(key + index * 2))


@dataclass
class _Planter:
    """Builds the lines of train one by one; remembers only what later lines repeat."""

    options: TicketOptions
    line: int = 0
    truth: list[Truth] = field(default_factory=list)
    recent: deque[tuple[int, Row]] = field(default_factory=lambda: deque(maxlen=60))

    def __post_init__(self) -> None:
        self.clean = _build_clean(self.options, "train")
        self.tests = _build_clean(self.options, "test")
        self.key = mix(self.options.seed + 99)

    def build_lines(self) -> Iterator[bytes]:
        """Yield every line of train."""
        for number in range(self.options.rows):
            self.line = number + 1
            turn, is_due = divmod(number, FLAW_PERIOD)
            if is_due == FLAW_PERIOD - 1:
                yield self._plant(PLANTS[turn % len(PLANTS)], turn // len(PLANTS))
            else:
                yield self._write_clean()

    def take_truth(self) -> list[Truth]:
        """Return the truth about lines written since the last call."""
        taken, self.truth = self.truth, []
        return taken

    @property
    def row_id(self) -> str:
        """Id of the present line."""
        return _name_row(self.line)

    def _write_clean(self) -> bytes:
        row = next(self.clean)
        self.recent.append((self.line, row))
        return _encode(row, self.row_id)

    def _plant(self, plant: str, turn: int) -> bytes:
        draw = Draw(self.key + self.line)
        kind, _, detail = plant.partition(":")
        if detail:
            return self._plant_value(kind, detail, draw, turn)
        if plant.startswith("leaked"):
            return self._plant_leak(draw, is_near=plant == "leaked_near")
        if plant in _REPEATS:
            return self._plant_repeat(plant, draw)
        return self._plant_damage(plant, draw, turn)

    def _plant_value(self, kind: str, detail: str, draw: Draw, turn: int) -> bytes:
        plant = plant_pii if kind == "pii" else plant_secret
        row, style = plant(next(self.clean), detail, draw, turn)
        self._tell([f"{kind}:{detail}"], style=style)
        return _encode(row, self.row_id)

    def _plant_leak(self, draw: Draw, *, is_near: bool) -> bytes:
        row = next(self.tests, None)
        if row is None:
            return self._write_clean()
        copy, style = edit_lightly(row, draw) if is_near else (row, "copy")
        self._tell(["leaked_row"], of=row.id, style=style)
        return _encode(copy, self.row_id)

    def _plant_repeat(self, plant: str, draw: Draw) -> bytes:
        line, row = self.recent.popleft()
        copy, style = _REPEATS[plant](row, draw)
        if plant == "conflicting_answers":
            self._tell([plant], line=line, of=self.row_id, style="first answer")
            self._tell([plant, "near_duplicate"], of=_name_row(line), style=style)
        else:
            self._tell([plant], of=_name_row(line), style=style)
        return _encode(copy, self.row_id)

    def _plant_damage(self, plant: str, draw: Draw, turn: int) -> bytes:
        row = next(self.clean)
        if plant == "mojibake":
            row, style = garble(row, draw)
            self._tell([plant], style=style)
            return _encode(row, self.row_id)
        if plant == "over_long" and turn == 0:
            self._tell(["row_too_long"], is_row=False, style="giant line")
            return _encode(lengthen(row, draw, GIANT_BYTES), self.row_id)
        if plant == "over_long":
            self._tell([plant], style="long")
            return _encode(lengthen(row, draw, 12_000), self.row_id)
        line, style = _break(_encode(row, self.row_id), plant, draw)
        self._tell([plant], is_row=False, style=style)
        return line

    def _tell(
        self,
        classes: list[str],
        *,
        line: int | None = None,
        of: str | None = None,
        style: str = "",
        is_row: bool = True,
    ) -> None:
        line = line or self.line
        name = _name_row(line) if is_row else None
        self.truth.append(
            {"file": "train.jsonl", "line": line, "id": name, "classes": classes, "of": of, "style": style}
        )


_REPEATS: Mapping[str, Callable[[Row, Draw], tuple[Row, str]]] = {
    "exact_duplicate": lambda row, _: (row, "copy"),
    "near_duplicate": edit_lightly,
    "conflicting_answers": give_other_answer,
}


def _break(line: bytes, plant: str, draw: Draw) -> tuple[bytes, str]:
    """Damage an encoded row so that it cannot be read."""
    text = line.rstrip(b"\n")
    if plant == "invalid_utf8":
        return text.replace(b'"content":"', b'"content":"\xff\xfe', 1) + b"\n", "stray bytes"
    if plant == "missing_column":
        return text.replace(b'"messages":', b'"message":', 1) + b"\n", "renamed column"
    if plant == "wrong_type":
        record = json.loads(text)
        return _dump({**record, "messages": record["messages"][-1]["content"]}), "text for a list"
    damages = (
        (text.decode()[: len(text) // 3].encode(), "cut off"),
        (text.replace(b'"', b"'"), "single quotes"),
        (text.replace(b'"role":', b'"role"', 1), "missing colon"),
        (text + b" }", "extra bracket"),
    )
    broken, style = draw.pick(damages)
    return broken + b"\n", style


def _name_row(line: int) -> str:
    return f"train-{line:07d}"


def _encode(row: Row, row_id: str) -> bytes:
    messages = [message.model_dump() for message in row.messages]
    messages.append({"role": "assistant", "content": row.answer})
    known = {"task": row.task, "language": row.language, "group": row.group}
    return _dump({"id": row_id, "messages": messages, **known})


def _dump(value: Mapping[str, Any]) -> bytes:
    return (json.dumps(value, ensure_ascii=False, separators=(",", ":")) + "\n").encode()
