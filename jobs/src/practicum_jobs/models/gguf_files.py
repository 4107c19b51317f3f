"""GGUF files among models: finding one, and what its header says of the memory that it needs."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass
from pathlib import Path

from practicum_core.errors import ConfigError, Reason
from practicum_jobs.models.gguf import GgufFile

_KV_BYTES = 2
"""llama.cpp keeps keys and values as float16."""


@dataclass(frozen=True)
class GgufFacts:
    """What a GGUF file says of its model.

    Attributes:
        context_tokens: Tokens that the model was made for.
        kv_bytes_per_token: Memory for keys and values of one token.
        dtype: The number format that most of its bytes are in.
        has_chat_template: Whether it says how a conversation becomes a prompt.
    """

    context_tokens: int
    kv_bytes_per_token: int
    dtype: str
    has_chat_template: bool


def find_gguf(path: Path) -> Path | None:
    """Return a GGUF file: the path itself, or the only one in a folder that is no model's."""
    if not path.is_absolute():
        return None
    if path.is_file() and path.suffix == ".gguf":
        return path
    found = sorted(path.glob("*.gguf")) if path.is_dir() and not (path / "config.json").is_file() else []
    return found[0] if len(found) == 1 else None


def read_facts(path: Path) -> GgufFacts:
    """Read the header of a GGUF file.

    Raises:
        ConfigError: It is cut off, of another format, or does not say how large the model is.
    """
    file = GgufFile(path)
    kind = str(file.metadata.get("general.architecture", ""))

    def read(name: str, default: int | None = None) -> int:
        value = file.metadata.get(f"{kind}.{name}", default)
        if not isinstance(value, int):
            raise ConfigError(f"{path}: its header has no {kind}.{name}", "make the file again", Reason.MODEL_MISSING)
        return value

    num_heads = read("attention.head_count")
    head_size = read("embedding_length") // num_heads
    widths = read("attention.key_length", head_size) + read("attention.value_length", head_size)
    sizes: Counter[str] = Counter()
    for size, name in zip(*file.list_types(), strict=True):
        sizes[name] += size
    return GgufFacts(
        context_tokens=read("context_length"),
        kv_bytes_per_token=_KV_BYTES * read("block_count") * read("attention.head_count_kv", num_heads) * widths,
        dtype=sizes.most_common(1)[0][0],
        has_chat_template=bool(file.metadata.get("tokenizer.chat_template")),
    )
