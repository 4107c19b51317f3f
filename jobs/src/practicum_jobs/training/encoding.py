"""Rows as tokens, and which of them count in the loss: those of the answer, its stop token included.

The ids and labels are those that TRL makes of ``{"prompt": messages, "completion": [assistant]}`` (a test compares
them).
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import takewhile

from practicum_core.rows import Row
from practicum_jobs.adapters.training_job import IGNORED, TokenRow
from practicum_jobs.models.tokens import ChatTokenizer


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
    """Encode every row; a longer row keeps its first ``max_length`` tokens."""
    return [encode_row(row, tokenizer, max_length) for row in rows]


def encode_row(row: Row, tokenizer: ChatTokenizer, max_length: int) -> EncodedRow:
    """Encode one row: the loss starts at the first token where prompt and conversation differ."""
    prompt = tokenizer.encode(tokenizer.render(row.messages, add_generation_prompt=True, tools=row.tools))
    turns = [*row.messages, row.reply]
    input_ids = tokenizer.encode(tokenizer.render(turns, add_generation_prompt=False, tools=row.tools))
    shared = sum(1 for _ in takewhile(lambda pair: pair[0] == pair[1], zip(prompt, input_ids, strict=False)))
    labels = [IGNORED] * shared + input_ids[shared:]
    tokens = TokenRow(row.id, input_ids[:max_length], labels[:max_length])
    return EncodedRow(row, tokens, len(input_ids), is_prompt_kept=shared == len(prompt))
