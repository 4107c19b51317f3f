"""Decides what a page can be made of. Each block is a value; ``templates/blocks/<kind>.html`` says how it looks."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.charts import Chart, Tone

CellKind = Literal["text", "number", "code", "name"]


class Block:
    """A piece of a section. ``kind`` names its template."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Paragraph(Block):
    """Running text."""

    kind: ClassVar[str] = "paragraph"
    text: Text


@dataclass(frozen=True)
class Heading(Block):
    """A heading below the section's own."""

    kind: ClassVar[str] = "heading"
    text: Text


@dataclass(frozen=True)
class Notice(Block):
    """A statement that must not be overlooked."""

    kind: ClassVar[str] = "notice"
    text: Text
    tone: Tone = "plain"
    detail: Text = ""


@dataclass(frozen=True)
class Fact:
    """One name with its value."""

    label: Bilingual
    value: Text
    is_code: bool = False


@dataclass(frozen=True)
class Facts(Block):
    """Names with values, as a definition list."""

    kind: ClassVar[str] = "facts"
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Figure:
    """One number that stands out. ``note`` is its interval or its comparison."""

    label: Bilingual
    value: Text
    note: Text = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Figures(Block):
    """Numbers that stand out, side by side."""

    kind: ClassVar[str] = "figures"
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Cell:
    """One table cell: ``note`` is a smaller second line.

    ``number`` aligns right; ``code`` has a fixed width and may break anywhere, ``name`` is short and never breaks.
    """

    text: Text
    kind: CellKind = "text"
    tone: Tone = "plain"
    note: Text = ""


@dataclass(frozen=True)
class Column:
    """One table column."""

    title: Bilingual
    kind: CellKind = "text"


@dataclass(frozen=True)
class Table(Block):
    """Rows under column headings; the first cell of a row is its heading. A plain text takes its column's kind.

    Raises:
        ValueError: A row has another number of cells than there are columns.
    """

    kind: ClassVar[str] = "table"
    caption: Bilingual
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | Text]]

    def __post_init__(self) -> None:
        """Refuse ragged rows."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table '{self.caption.en}': {len(row)} cells for {len(self.columns)} columns")

    @property
    def cells(self) -> list[list[Cell]]:
        """Rows with every cell's kind decided."""
        return [
            [
                cell if isinstance(cell, Cell) else Cell(cell, column.kind)
                for cell, column in zip(row, self.columns, strict=True)
            ]
            for row in self.rows
        ]


@dataclass(frozen=True)
class Charts(Block):
    """Charts side by side where there is room, each with its title and one sentence on how to read it."""

    kind: ClassVar[str] = "charts"
    charts: Sequence[tuple[Chart, Bilingual | None]]


@dataclass(frozen=True)
class Command(Block):
    """A command to copy."""

    kind: ClassVar[str] = "command"
    text: str
    label: Bilingual


@dataclass(frozen=True)
class Excerpt:
    """One labelled text of an example, shown as it is."""

    label: Bilingual
    text: Text
    tone: Tone = "plain"


@dataclass(frozen=True)
class Example(Block):
    """One input with what was answered and what was expected."""

    kind: ClassVar[str] = "example"
    title: Text
    excerpts: Sequence[Excerpt]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Disclosure(Block):
    """Blocks behind a summary line; open on paper."""

    kind: ClassVar[str] = "disclosure"
    summary: Text
    blocks: Sequence[Block]
    is_open: bool = False


@dataclass(frozen=True)
class Section:
    """One numbered section. ``slug`` is its anchor; ``how_to_read`` is one sentence for a student."""

    slug: str
    title: Bilingual
    blocks: Sequence[Block]
    how_to_read: Bilingual | None = None
