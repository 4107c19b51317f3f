"""Samples of an evaluation, read strictly: a line that is not one is an error with its place."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path

from pydantic import ValidationError

from practicum_core.errors import ConfigError, DataError
from practicum_core.problems import list_problems
from practicum_core.stages.evaluate import EvaluationSample
from practicum_jobs.context import StageContext

MAX_LINE_BYTES = 1_000_000
_FIX = "give the samples.jsonl of an evaluation, such as RUN/stages/evaluate/samples.jsonl"


def resolve_samples(uri: str, ctx: StageContext) -> Path:
    """Return the path of the samples that an option names; of a folder, the file in it.

    Raises:
        ConfigError: It names no path.
        DataError: It names an earlier run that is gone.
    """
    path = Path(ctx.resolve_uri(uri, "data").removeprefix("file://"))
    if not path.is_absolute():
        raise ConfigError(f"samples {uri!r}: no path", "give an absolute path, file://PATH or run:PATH")
    return path / "samples.jsonl" if path.is_dir() else path


def read_evaluation_samples(path: Path) -> list[EvaluationSample]:
    """Read ``samples.jsonl`` of an evaluation.

    Raises:
        DataError: The file cannot be read, is empty, holds a line that is no sample, or the same row twice.
    """
    try:
        with path.open("rb") as handle:
            samples = list(_parse_lines(path, handle.readlines()))
    except OSError as error:
        raise DataError(f"{path}: {error.strerror}", _FIX) from error
    if not samples:
        raise DataError(f"{path}: no samples", _FIX)
    seen: set[tuple[str, str]] = set()
    for sample in samples:
        key = (sample.split, sample.id)
        if key in seen:
            raise DataError(f"{path}: the row {sample.id} of split {sample.split or '-'} is there twice", _FIX)
        seen.add(key)
    return samples


def _parse_lines(path: Path, lines: list[bytes]) -> Iterator[EvaluationSample]:
    for number, line in enumerate(lines, start=1):
        if len(line) > MAX_LINE_BYTES or not line.endswith(b"\n"):
            raise DataError(f"{path}: line {number} is cut off or too long", _FIX)
        try:
            yield EvaluationSample.model_validate_json(line)
        except ValidationError as error:
            raise DataError(f"{path}: line {number}: {list_problems(error)[0]}", _FIX) from error


def write_prompt(prompt: object) -> str:
    r"""Return a prompt as text: a string as it is, messages as a dialogue.

    >>> write_prompt([{"role": "user", "content": "Hi"}])
    '[user] Hi'
    """
    if isinstance(prompt, list) and all(isinstance(turn, dict) and "content" in turn for turn in prompt):
        return "\n".join(f"[{turn.get('role', '')}] {turn['content']}" for turn in prompt)
    return str(prompt)
