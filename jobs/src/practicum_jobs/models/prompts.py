"""Comparison of the prompt token ids that an engine processed with those of the original's chat template. Pure.

A chat template that is applied twice or not at all, or a BOS token that an engine adds, changes answers and raises no
error; settings that look equal do not exclude it. Token ids do.
"""

from __future__ import annotations

from collections.abc import Sequence

from practicum_core.stages.prompts import PromptCheck

TokenIds = Sequence[int]


def compare_prompts(expected: Sequence[TokenIds], processed: Sequence[TokenIds | None]) -> PromptCheck:
    """Compare prompts one by one.

    Args:
        expected: Token ids that the original's tokenizer and chat template give, by prompt.
        processed: Token ids that the engine says it processed, in the same order; ``None`` where it does not say.

    Raises:
        ValueError: The numbers of prompts differ.

    >>> compare_prompts([[1, 5], [1, 6], [1, 7]], [[1, 5], [0, 1, 6], None])
    PromptCheck(num_prompts=3, num_same=1, num_not_shown=1, first_difference='prompt 2: 1 token more at the start: 0')
    """
    same = hidden = 0
    first = ""
    for number, (meant, seen) in enumerate(zip(expected, processed, strict=True), start=1):
        if seen is None:
            hidden += 1
        elif list(seen) == list(meant):
            same += 1
        elif not first:
            first = f"prompt {number}: {describe_difference(meant, seen)}"
    return PromptCheck(num_prompts=len(expected), num_same=same, num_not_shown=hidden, first_difference=first)


def describe_difference(expected: TokenIds, processed: TokenIds) -> str:
    """Say in words how two different sequences of token ids differ.

    >>> describe_difference([4, 5, 6], [4, 9, 6])
    'token 2 is 9 instead of 5 (3 tokens, 3 meant)'
    >>> describe_difference([4, 5], [4, 5, 6, 7])
    '2 tokens more at the end: 6 7'
    """
    meant, seen = list(expected), list(processed)
    more = len(seen) - len(meant)
    if more > 0 and seen[more:] == meant:
        return _describe_more("start", seen[:more])
    if more > 0 and seen[: len(meant)] == meant:
        return _describe_more("end", seen[len(meant) :])
    place = next((place for place, (one, other) in enumerate(zip(meant, seen, strict=False)) if one != other), None)
    counts = f"({len(seen)} tokens, {len(meant)} meant)"
    if place is None:
        return f"cut after token {len(seen)} {counts}"
    return f"token {place + 1} is {seen[place]} instead of {meant[place]} {counts}"


def _describe_more(where: str, tokens: TokenIds) -> str:
    shown = " ".join(map(str, tokens[:8])) + (" ..." if len(tokens) > 8 else "")  # noqa: PLR2004 - room of one line
    return f"{len(tokens)} token{'s' if len(tokens) > 1 else ''} more at the {where}: {shown}"
