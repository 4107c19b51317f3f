"""Refusals: answers in which a model declines, or speaks of itself instead of answering."""

from __future__ import annotations

import re

_REFUSAL = re.compile(
    r"\bas an? (?:ai|artificial intelligence|large language model|language model)\b"
    r"|\bi(?:'m| am) (?:just )?an? (?:ai|artificial intelligence|language model)\b"
    r"|\b(?:i'm sorry|i am sorry|sorry|i apologi[sz]e),? (?:but )?i (?:can(?:no|')?t|am unable to|am not able to)\b"
    r"|作为(?:一个|一名)?(?:人工智能|AI|大?语言模型)|我(?:只)?是(?:一个|一名)?(?:人工智能|AI|大?语言模型)"
    r"|(?:很抱歉|抱歉|对不起)[,，]?\s*我(?:无法|不能)",
    re.IGNORECASE,
)
_REFUSAL_HEAD_CHARS = 300
_REFUSAL_WORDS = ("as a", "m a", "sorry", "apolog", "作为", "我是", "我只是", "抱歉", "对不起")
"""One of these stands in every refusal; looking for them first is quicker than the pattern."""
_DECLINES = re.compile(
    r"\b(?:(?:i|we) (?:can(?:no|')?t|could(?: not|n't)|won't|will not)"
    r"|(?:i'm|i am|we're|we are) (?:unable|not able) to"
    r"|(?:i|we) do(?: not|n't) have (?:the ability|access) to)"
    r" (?:help|assist|provide|comply|do that|answer|process|extract|complete|share|access|fulfil)"
    r"|(?:无法|不能|不便|没办法)(?:为您|为你|向您|给您)?(?:提供|回答|帮助|协助|处理|完成|提取|满足|透露)"
    r"|(?:拒绝|恕难)(?:回答|从命|提供)",
    re.IGNORECASE,
)


def is_refusal(answer: str) -> bool:
    """Whether an answer begins as models refuse or speak of themselves.

    >>> is_refusal("As an AI language model, I cannot."), is_refusal("It was as an aid to memory.")
    (True, False)
    """
    head = answer[:_REFUSAL_HEAD_CHARS].lower()
    return any(word in head for word in _REFUSAL_WORDS) and _REFUSAL.search(head) is not None


def is_declined(answer: str) -> bool:
    """Whether a model declined in its answer, also in words that a person would use in earnest.

    It is for answers of models; a data set may hold "I cannot help" as a quotation.

    >>> is_declined("I cannot help with that request."), is_declined("抱歉，无法提供该信息。"), is_declined("Paris")
    (True, True, False)
    """
    head = answer[:_REFUSAL_HEAD_CHARS].replace("\u2019", "'")
    return is_refusal(answer) or _DECLINES.search(head) is not None
