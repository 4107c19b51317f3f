"""Greedy answers to conversations whose prompts transformers encodes: what the answers of stages are compared with."""

from __future__ import annotations

from practicum_core.rows import Message
from practicum_jobs.adapters.generation import LoadedModel, generate_answers


def encode(loaded: LoadedModel, conversations: list[list[Message]]) -> list[list[int]]:
    """Return the token ids of each prompt, by the chat template as transformers applies it."""
    return [
        loaded.tokenizer.apply_chat_template(
            [turn.model_dump() for turn in conversation], add_generation_prompt=True, return_dict=False
        )
        for conversation in conversations
    ]


def generate_greedy(loaded: LoadedModel, conversations: list[list[Message]], *args, **options) -> list[str]:
    """Return the text of each answer; arguments as those of ``generate_answers``."""
    return [answer.text for answer in generate_answers(loaded, encode(loaded, conversations), *args, **options)]
