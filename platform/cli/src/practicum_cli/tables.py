"""Tables as aligned text, Markdown, CSV or HTML."""

from __future__ import annotations

import csv
import html
import io
import unicodedata
from collections.abc import Sequence
from typing import Literal

Format = Literal["text", "md", "csv", "html"]
Rows = Sequence[Sequence[str]]


def format_table(header: Sequence[str], rows: Rows, style: Format = "text", title: str = "Runs · 运行汇总") -> str:
    """Write a table in one of four styles; the title is that of the HTML page.

    >>> print(format_table(["a", "b"], [["1", "x"]], "md"))
    | a | b |
    |---|---|
    | 1 | x |
    """
    match style:
        case "text":
            return _format_text(header, rows)
        case "md":
            return _format_markdown(header, rows)
        case "csv":
            return _format_csv(header, rows)
        case "html":
            return _format_html(header, rows, title)


def _format_text(header: Sequence[str], rows: Rows) -> str:
    lines = [list(header), *map(list, rows)]
    widths = [max(_measure(line[column]) for line in lines) for column in range(len(header))]
    padded = (
        "  ".join(cell + " " * (width - _measure(cell)) for cell, width in zip(line, widths, strict=True))
        for line in lines
    )
    return "\n".join(line.rstrip() for line in padded)


def _measure(cell: str) -> int:
    """Count terminal columns: Chinese characters take two."""
    return sum(2 if unicodedata.east_asian_width(character) in "WF" else 1 for character in cell)


def _format_markdown(header: Sequence[str], rows: Rows) -> str:
    def join(cells: Sequence[str]) -> str:
        escaped = (cell.replace("|", "\\|").replace("\n", " ") for cell in cells)
        return f"| {' | '.join(escaped)} |"

    return "\n".join([join(header), "|" + "---|" * len(header), *map(join, rows)])


def _format_csv(header: Sequence[str], rows: Rows) -> str:
    buffer = io.StringIO()
    writer = csv.writer(buffer, lineterminator="\n")
    writer.writerow(header)
    writer.writerows([_defuse(cell) for cell in row] for row in rows)
    return buffer.getvalue().rstrip("\n")


def _defuse(cell: str) -> str:
    """Keep a spreadsheet from reading text as a formula (OWASP, CSV injection); numbers stay as they are."""
    try:
        float(cell)
    except ValueError:
        return f"'{cell}" if cell[:1] in ("=", "+", "-", "@", "\t") else cell
    return cell


def _format_html(header: Sequence[str], rows: Rows, title: str) -> str:
    head = "".join(f'<th scope="col">{html.escape(cell)}</th>' for cell in header)
    body = "\n".join("<tr>" + "".join(f"<td>{html.escape(cell)}</td>" for cell in row) + "</tr>" for row in rows)
    style = (
        "body{font:15px/1.5 system-ui,sans-serif;margin:1.5rem;color:#1a1a1a;background:#fff}"
        ".scroll{overflow-x:auto}table{border-collapse:collapse}th,td{padding:.35rem .7rem;text-align:left;"
        "border-bottom:1px solid #ccc;white-space:nowrap}th{border-bottom:2px solid #555}"
    )
    return (
        '<!doctype html>\n<html lang="en">\n<head>\n<meta charset="utf-8">\n'
        '<meta name="viewport" content="width=device-width, initial-scale=1">\n'
        f"<title>Practicum: {html.escape(title)}</title>\n<style>{style}</style>\n</head>\n<body>\n"
        f'<h1>{html.escape(title)}</h1>\n<div class="scroll">\n<table>\n<thead><tr>{head}</tr></thead>\n'
        f"<tbody>\n{body}\n</tbody>\n</table>\n</div>\n</body>\n</html>"
    )
