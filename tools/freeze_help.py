"""Writes tests/contract/help/*.txt from the command. A test fails when the files differ from what this prints."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from pathlib import Path

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / part) for part in ("platform/core/src", "platform/runtime/src", "platform/cli/src")]

import click  # noqa: E402 - the path is set first, so that the tool runs from a bare clone

from practicum_cli.main import practicum  # noqa: E402

FOLDER = ROOT / "tests" / "contract" / "help"
WIDTH = 100


def build_texts() -> dict[str, str]:
    """Return the help text of the command and of each subcommand, by file name."""
    texts = _iter_texts(practicum, None, "practicum")
    return {f"{name.replace(' ', '-')}.txt": text for name, text in texts}


def _iter_texts(command: click.Command, parent: click.Context | None, name: str) -> Iterator[tuple[str, str]]:
    context = click.Context(command, parent=parent, info_name=name.rsplit(maxsplit=1)[-1], terminal_width=WIDTH)
    context.max_content_width = WIDTH
    yield name, command.get_help(context) + "\n"
    if isinstance(command, click.Group):
        for child in command.list_commands(context):
            found = command.get_command(context, child)
            if found is not None:
                yield from _iter_texts(found, context, f"{name} {child}")


def main() -> None:
    """Write the files and remove those of commands that do not exist any more."""
    FOLDER.mkdir(parents=True, exist_ok=True)
    texts = build_texts()
    for path in FOLDER.glob("*.txt"):
        if path.name not in texts:
            path.unlink()
    for name, text in texts.items():
        (FOLDER / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
