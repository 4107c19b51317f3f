"""Rows as tokens, and which of them count in the loss: those of the answer, its stop token included.

The ids and labels are those that TRL makes of ``{"prompt": messages, "completion": [assistant]}`` (a test compares
them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.name_lists import name_some
from practicum_core.rows import Row
from practicum_jobs.adapters.training_job import IGNORED, TokenRow
from practicum_jobs.models.tokens import ChatTokenizer

SHOWN = 5
"""Rows, and kinds of problems, that a message names."""
_UNWANTED = "the data marks the answer as unwanted (label false), which supervised training would teach"


@dataclass(frozen=True)
class EncodedRow:
    """A row as tokens, with what the checks read.

    Attributes:
        tokens: As trained on, cut to the longest allowed length.
        num_tokens: Length before the cut.
        is_prompt_kept: The prompt alone renders to the same tokens as the prompt inside the conversation.
    """

    row: Row
    tokens: TokenRow
    num_tokens: int
    is_prompt_kept: bool

    @property
    def is_truncated(self) -> bool:
        """Whether tokens were cut off."""
        return self.num_tokens > len(self.tokens.input_ids)

    @property
    def num_trainable(self) -> int:
        """Tokens that count in the loss."""
        return sum(label != IGNORED for label in self.tokens.labels)


def encode_rows(rows: Sequence[Row], tokenizer: ChatTokenizer, max_length: int) -> list[EncodedRow]:
    """Encode every row for supervised training; a longer row keeps its first ``max_length`` tokens.

    Raises:
        ConfigError: The chat template refuses rows or leaves their tool calls out, or their answers are marked as
            unwanted. All such rows are counted and the first of them named.
    """
    encoded: list[EncodedRow] = []
    faults: dict[str, list[str]] = {}
    for row in rows:
        fault = _UNWANTED if row.label is False else ""
        if not fault:
            try:
                encoded.append(encode_row(row, tokenizer, max_length))
            except DataError as error:
                fault = error.detail
            else:
                fault = _find_unprinted(row, tokenizer)
        if fault:
            faults.setdefault(fault, []).append(row.id)
    if faults:
        problems = [f"{len(ids)} rows: {fault} ({name_some(ids, SHOWN)})" for fault, ids in faults.items()]
        more = [f"and {len(problems) - SHOWN} more problems"] if len(problems) > SHOWN else []
        raise ConfigError(
            "; ".join([*problems[:SHOWN], *more]),
            "remove these rows (`practicum audit` with this model writes a clean copy), or train another model;"
            " nothing was trained",
            Reason.PREFLIGHT_FAILED,
        )
    return encoded


def _find_unprinted(row: Row, tokenizer: ChatTokenizer) -> str:
    """Return a problem when the template leaves out a call of the answer: the row would teach to say nothing."""
    names = [call.name for call in row.reply.tool_calls]
    if names:
        text = tokenizer.render([*row.messages, row.reply], add_generation_prompt=False, tools=row.tools)
        if not all(name in text for name in names):
            return "the chat template does not print the tool calls of the answer"
    return ""


def encode_row(row: Row, tokenizer: ChatTokenizer, max_length: int) -> EncodedRow:
    """Encode one row: the loss starts at the first token where prompt and conversation differ."""
    prompt = tokenizer.encode_prompt(row)
    turns = [*row.messages, row.reply]
    input_ids = tokenizer.encode(tokenizer.render(turns, add_generation_prompt=False, tools=row.tools))
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, input_ids, strict=False)))
    labels = [IGNORED] * shared + input_ids[shared:]
    tokens = TokenRow(row.id, input_ids[:max_length], labels[:max_length])
    return EncodedRow(row, tokens, len(input_ids), is_prompt_kept=shared == len(prompt))
