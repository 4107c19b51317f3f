"""What is asked of the process that measures one artifact, and what it answers: the models of two JSON files."""

from __future__ import annotations

from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.quantize import EngineName, Fidelity, FidelityText


class _Document(BaseModel):
    model_config = ConfigDict(extra="forbid", frozen=True)


class Request(_Document):
    """One artifact, and what it is asked."""

    engine: EngineName
    path: str
    prompts: list[list[int]]
    conversations: list[list[dict[str, Any]]] = Field(
        description="Turns of some of the prompts, for which the engine applies the chat template in the files."
    )
    stop_ids: list[int]
    max_new_tokens: int
    concurrency: list[int]
    num_threads: int
    texts: list[FidelityText]
    reference: str = Field(description="NumPy file with the original's log-probabilities on the texts.")


class Rate(_Document):
    """Answers to some prompts with so many requests at the same time."""

    concurrency: int
    num_requests: int
    num_tokens: int
    seconds: float


class Measurement(_Document):
    """What was measured. Written after each part, so that a process that is stopped loses the rest only.

    ``reached`` names the last part that is complete.
    """

    kernel: str = ""
    baseline_bytes: int = 0
    load_s: float = 0.0
    resident_bytes: int = 0
    peak_bytes: int = 0
    vram_bytes: int | None = None
    ttft_s: float | None = None
    tpot_s: float | None = None
    rates: list[Rate] = Field(default_factory=list)
    answers: list[list[int]] = Field(default_factory=list)
    prompt_token_ids: list[list[int] | None] = Field(
        default_factory=list, description="Of each prompt, as the engine says that it processed it."
    )
    conversation_token_ids: list[list[int] | None] = Field(
        default_factory=list, description="Of each conversation, as the engine made them itself."
    )
    fidelity: Fidelity | None = None
    reached: Literal["loaded", "answered", "fidelity"] = "loaded"


class Fault(_Document):
    """Why a process could not measure."""

    detail: str
