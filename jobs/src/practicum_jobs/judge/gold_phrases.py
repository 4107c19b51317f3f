"""The sentences around the answers of the gold set. Data only."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass


@dataclass(frozen=True)
class GoldPhrases:
    """Sentences of one language: format strings over ``json``, ``fact`` and ``other``."""

    chatty: str
    prose: str
    refusal: str
    sentence: str
    quote: str
    hedged: str
    unknown: str


PHRASES: Mapping[str, GoldPhrases] = {
    "en": GoldPhrases(
        chatty="Sure! Here is the ticket as JSON:\n{json}\nLet me know if you need anything else.",
        prose="Thank you for your message. We are sorry for the trouble. A colleague will look at it and come back to "
        "you as soon as possible.",
        refusal="I'm sorry, but I cannot help with that.",
        sentence="It is {fact}.",
        quote="I have read the note carefully. According to it, the answer to your question is {fact}.",
        hedged="It is {fact}, or perhaps {other}; both are possible.",
        unknown="The note does not say.",
    ),
    "zh": GoldPhrases(
        chatty="好的！以下是该工单的 JSON：\n{json}\n如果还需要其他帮助，请告诉我。",
        prose="感谢您的来信，给您带来不便我们深表歉意。同事会尽快查看您的问题，并在第一时间回复您，请您耐心等待。"
        "在此期间，如果您还有其他疑问，欢迎随时与我们联系，我们将竭诚为您服务。再次感谢您的理解与支持，祝您生活愉快。",
        refusal="抱歉，我无法提供帮助。",
        sentence="答案是{fact}。",
        quote="我已经仔细阅读了这份资料。根据资料的内容，您所提问题的答案是{fact}。",
        hedged="是{fact}，也可能是{other}，两者都有可能。",
        unknown="这份资料里没有说明这一点。",
    ),
}
