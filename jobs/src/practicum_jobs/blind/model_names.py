"""Names of models in answers: found and removed, so that an answer does not say which model gave it."""

from __future__ import annotations

import re
from collections.abc import Iterable, Sequence

REMOVED = "[…]"
"""What the page shows where a name stood."""

_FAMILIES = (
    "smollm|qwen|qwq|tongyi|llama|gpt|chatgpt|claude|gemini|gemma|mistral|mixtral|deepseek|chatglm|glm|baichuan|"
    "internlm|hunyuan|ernie|minimax|kimi|moonshot|phi|falcon|vicuna|alpaca|openai|anthropic|hugging ?face"
)
_CHINESE = "通义千问|千问|文心一言|文心|豆包|智谱清言|智谱|讯飞星火|混元|书生·?浦语|百川大模型|月之暗面|深度求索|阿里云"
_KNOWN = re.compile(rf"(?<![0-9A-Za-z])(?:{_FAMILIES})(?![A-Za-z])[-.\w]*(?<![-.])", re.IGNORECASE | re.ASCII)
_KNOWN_CHINESE = re.compile(_CHINESE)
_MIN_NAME = 3
_PLAIN = frozenset(["merged", "adapter", "model", "artifacts", "checkpoint"])
"""Names of folders that name no model."""


def list_uri_names(uris: Iterable[str]) -> list[str]:
    """Return the names that URIs of models contain: their last parts, without scheme and folder.

    >>> list_uri_names(["hf://Qwen/Qwen2.5-0.5B-Instruct", "builtin:smollm2-135m", "latest:sft/merged"])
    ['Qwen2.5-0.5B-Instruct', 'smollm2-135m']
    """
    names = [re.split(r"[/:]", uri)[-1] for uri in uris]
    return [name for name in dict.fromkeys(names) if len(name) >= _MIN_NAME and name.lower() not in _PLAIN]


def remove_names(text: str, names: Sequence[str], kept: str = "") -> tuple[str, list[str]]:
    """Replace the names of models in a text, and say which were found.

    Args:
        text: An answer.
        names: Names to remove beside the known families.
        kept: Text whose words stay: a name in the question or in the expected answer is content.

    >>> remove_names("I am Qwen2.5, made by 阿里云.", [])
    ('I am […], made by […].', ['Qwen2.5', '阿里云'])
    >>> remove_names("A llama lives in Peru.", [], kept="Which animal? A llama.")
    ('A llama lives in Peru.', [])
    """
    found: list[str] = []
    kept_folded = kept.casefold()

    def replace(match: re.Match[str]) -> str:
        if match[0].casefold() in kept_folded:
            return match[0]
        found.append(match[0])
        return REMOVED

    given = [re.escape(name) for name in sorted(names, key=len, reverse=True) if len(name) >= _MIN_NAME]
    patterns = [re.compile("|".join(given), re.IGNORECASE)] if given else []
    for pattern in (*patterns, _KNOWN, _KNOWN_CHINESE):
        text = pattern.sub(replace, text)
    return text, list(dict.fromkeys(found))
