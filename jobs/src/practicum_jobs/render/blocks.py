"""The blocks of a page. Each block is a value; the template ``templates/blocks/<kind>.html`` renders it."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import ClassVar, Literal

from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.charts import Chart, Tone

CellKind = Literal["text", "number", "code", "name"]


class Block:
    """An element of a section. ``kind`` is the name of its template."""

    kind: ClassVar[str]


@dataclass(frozen=True)
class Paragraph(Block):
    """A paragraph of text."""

    kind: ClassVar[str] = "paragraph"
    text: Text


@dataclass(frozen=True)
class Heading(Block):
    """A heading inside a section."""

    kind: ClassVar[str] = "heading"
    text: Text


@dataclass(frozen=True)
class Notice(Block):
    """A highlighted message."""

    kind: ClassVar[str] = "notice"
    text: Text
    tone: Tone = "plain"
    detail: Text = ""


@dataclass(frozen=True)
class Fact:
    """A name and its value."""

    label: Bilingual
    value: Text
    is_code: bool = False


@dataclass(frozen=True)
class Facts(Block):
    """Names and values, rendered as a definition list."""

    kind: ClassVar[str] = "facts"
    facts: Sequence[Fact]


@dataclass(frozen=True)
class Figure:
    """One key number. ``note`` is its interval or its comparison."""

    label: Bilingual
    value: Text
    note: Text = ""
    tone: Tone = "plain"


@dataclass(frozen=True)
class Figures(Block):
    """Key numbers, side by side."""

    kind: ClassVar[str] = "figures"
    figures: Sequence[Figure]


@dataclass(frozen=True)
class Cell:
    """One table cell. ``note`` is a second line in a smaller size.

    ``number`` is right-aligned; ``code`` is monospaced and may wrap anywhere; ``name`` is short and does not wrap.
    ``href`` makes the text a link: a path relative to the page.
    """

    text: Text
    kind: CellKind = "text"
    tone: Tone = "plain"
    note: Text = ""
    href: str = ""


@dataclass(frozen=True)
class Column:
    """One table column."""

    title: Bilingual
    kind: CellKind = "text"


@dataclass(frozen=True)
class Table(Block):
    """Rows under column headings. The first cell of a row is its heading; a plain text gets the kind of its column.

    Raises:
        ValueError: A row does not have as many cells as there are columns.
    """

    kind: ClassVar[str] = "table"
    caption: Bilingual
    columns: Sequence[Column]
    rows: Sequence[Sequence[Cell | Text]]

    def __post_init__(self) -> None:
        """Check that every row has one cell per column."""
        for row in self.rows:
            if len(row) != len(self.columns):
                raise ValueError(f"table '{self.caption.en}': {len(row)} cells for {len(self.columns)} columns")

    @property
    def cells(self) -> list[list[Cell]]:
        """Rows in which every cell has a kind."""
        return [
            [
                cell if isinstance(cell, Cell) else Cell(cell, column.kind)
                for cell, column in zip(row, self.columns, strict=True)
            ]
            for row in self.rows
        ]


@dataclass(frozen=True)
class Charts(Block):
    """Charts, side by side if they fit, each with a title and a sentence on how to read it."""

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
    """One labelled text of an example, shown verbatim."""

    label: Bilingual
    text: Text
    tone: Tone = "plain"


@dataclass(frozen=True)
class Example(Block):
    """One input with the answer and the expected answer."""

    kind: ClassVar[str] = "example"
    title: Text
    excerpts: Sequence[Excerpt]
    tone: Tone = "plain"


@dataclass(frozen=True)
class Disclosure(Block):
    """Blocks that a reader can expand; always expanded in print."""

    kind: ClassVar[str] = "disclosure"
    summary: Text
    blocks: Sequence[Block]
    is_open: bool = False


@dataclass(frozen=True)
class Section:
    """One numbered section. ``slug`` is its anchor; ``how_to_read`` explains it to a student in a sentence."""

    slug: str
    title: Bilingual
    blocks: Sequence[Block]
    how_to_read: Bilingual | None = None
