"""The calibration set of a quantization, and its overlap with the rows that will judge the result."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from itertools import islice

from practicum_core.errors import DataError
from practicum_core.rows import Row
from practicum_core.stages.quantize import FidelityText
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.text.overlap import find_overlap


@dataclass(frozen=True)
class Calibration:
    """Token ids of the calibration rows, and the test rows that overlap with them."""

    rows: Sequence[Sequence[int]]
    leaked_ids: Sequence[str]


def build_calibration(
    candidates: Iterable[Row], count: int, tests: Iterable[Row], tokenizer: ChatTokenizer, lengths: tuple[int, int]
) -> Calibration:
    """Render the first ``count`` rows that are long enough, and look for the test rows among them.

    Args:
        candidates: Rows to calibrate with.
        count: How many are wanted.
        tests: Rows that must not be among them: equal, nearly equal, or with a long run in common.
        tokenizer: Of the model.
        lengths: Fewest tokens of a row that counts, and most that are kept of it.

    Raises:
        DataError: There are not enough rows, or they are too short.
    """
    fewest, most = lengths
    chosen: list[Row] = []
    rendered: list[list[int]] = []
    num_short = 0
    for row in candidates:
        if len(chosen) == count:
            break
        token_ids = encode_row(row, tokenizer)
        if len(token_ids) < fewest:
            num_short += 1
            continue
        chosen.append(row)
        rendered.append(token_ids[:most])
    if len(chosen) < count:
        short = f"; {num_short} more have fewer than {fewest} tokens" if num_short else ""
        raise DataError(
            f"{len(chosen)} calibration rows, and {count} are needed{short}",
            "lower gptq_rows and awq_rows or min_tokens, name another calibration_split, or leave gptq and awq out",
        )
    overlap = find_overlap(((row.id, _read_user(row)) for row in chosen), ((row.id, _read_user(row)) for row in tests))
    return Calibration(rendered, [*overlap.exact, *overlap.near, *overlap.ngram])


def encode_row(row: Row, tokenizer: ChatTokenizer) -> list[int]:
    """Return the tokens of a whole row, prompt and answer, as the model's chat template renders it."""
    turns = [*row.messages, row.reply]
    return tokenizer.encode(tokenizer.render(turns, add_generation_prompt=False, tools=row.tools))


def build_texts(rows: Iterable[Row], count: int, tokenizer: ChatTokenizer, max_tokens: int) -> list[FidelityText]:
    """Return the first ``count`` rows as texts for fidelity."""
    return [
        FidelityText(
            id=row.id,
            language=row.language or "und",
            token_ids=encode_row(row, tokenizer)[:max_tokens],
            prompt=row.messages[-1].content,
            expected=row.answer,
        )
        for row in islice(rows, count)
    ]


def _read_user(row: Row) -> str:
    return "\n".join(message.content for message in row.messages if message.role == "user")
