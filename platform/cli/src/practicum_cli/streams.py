"""Standard streams that cannot end a command: closed ones, ones without our characters, readers that went away.

A command that only prints may end with its reader (``practicum weeks | head``). One that works goes on without it, so
that a run and its exit code do not depend on who reads: such commands print with :func:`tell`.
"""

from __future__ import annotations

import contextlib
import io
import json
import os
import sys
from typing import Any

import click

_NAMES = ("stdin", "stdout", "stderr")


def prepare_streams() -> None:
    """Open streams that are closed, and print what the terminal's encoding lacks as replacement characters."""
    for number, name in enumerate(_NAMES):
        _open_closed(number)
        if getattr(sys, name) is None:
            mode = "w" if number else "r"
            setattr(sys, name, open(number, mode, encoding="utf-8", errors="replace", closefd=False))  # noqa: SIM115 - a descriptor, for the life of the process
        stream = getattr(sys, name)
        if number and isinstance(stream, io.TextIOWrapper):
            stream.reconfigure(errors="replace")


def tell(text: str = "", *, err: bool = False) -> None:
    """Print a line; where nobody can read it any more, go on in silence."""
    try:
        click.echo(text, err=err)
    except OSError:
        silence("stderr" if err else "stdout")


def tell_json(document: Any, *, err: bool = False) -> None:  # noqa: ANN401 - any JSON value
    """Print a JSON line: with escapes where the encoding of the stream lacks characters, so that nothing is lost."""
    encoding = getattr(sys.stderr if err else sys.stdout, "encoding", None) or "utf-8"
    is_unicode = encoding.lower().replace("-", "").startswith("utf")
    tell(json.dumps(document, ensure_ascii=not is_unicode), err=err)


def silence(name: str) -> None:
    """Send what is still to be printed on a stream nowhere, so that its end is no second fault."""
    with contextlib.suppress(OSError, ValueError):
        target = getattr(sys, name).fileno()
        nowhere = os.open(os.devnull, os.O_WRONLY)
        os.dup2(nowhere, target)
        os.close(nowhere)


def _open_closed(number: int) -> None:
    """Open a closed descriptor: the next file that is opened would take its number, and our output."""
    try:
        os.fstat(number)
    except OSError:
        nowhere = os.open(os.devnull, os.O_RDWR)
        if nowhere != number:
            os.dup2(nowhere, number)
            os.close(nowhere)
        os.set_inheritable(number, True)  # noqa: FBT003 - the only argument there is
