"""Names in traces: OpenTelemetry's for generative AI, in two generations, and Practicum's own.

The conventions are in development. Version 1.37 renamed ``gen_ai.system``; vLLM 0.32 still counts tokens under the
names before 1.27 (``vllm/tracing/utils.py``). Their move to a repository of their own (semantic-conventions-genai)
renamed metrics, of which Practicum has none under these names, and no attribute of spans that is written here.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any, Literal

Generation = Literal["latest", "old"]


@dataclass(frozen=True)
class GenAiNames:
    """Attributes of a span for a request to a model whose names differ between the generations."""

    provider: str
    input_tokens: str
    output_tokens: str


GENERATIONS: Mapping[Generation, GenAiNames] = {
    "latest": GenAiNames("gen_ai.provider.name", "gen_ai.usage.input_tokens", "gen_ai.usage.output_tokens"),
    "old": GenAiNames("gen_ai.system", "gen_ai.usage.prompt_tokens", "gen_ai.usage.completion_tokens"),
}
OPERATION, MODEL = "gen_ai.operation.name", "gen_ai.request.model"
ERROR, ADDRESS, PORT = "error.type", "server.address", "server.port"
METHOD, PATH, STATUS = "http.request.method", "url.path", "http.response.status_code"

REQUEST_ID, KEY = "practicum.request.id", "practicum.key.id"
RUNG, REASON = "practicum.ladder.rung", "practicum.ladder.reason"
BEFORE, AFTER = "practicum.ladder.before", "practicum.ladder.after"
DEGRADED_EVENT, STEP_EVENT, FIRST_TOKEN_EVENT = "practicum.degraded", "practicum.ladder.step", "practicum.first_token"
QUEUE_SPAN, HOLD_SPAN = "wait for a place at the engines", "wait for a first engine"

TRACE_FILE = "traces.jsonl"
"""Where a step leaves its traces among its artifacts, without a collector: OTLP's JSON, one document a line."""
ENGINE_SPAN = "llm_request"
"""vLLM's name of the span of a request."""
ENGINE_PARTS = {
    "queue": "gen_ai.latency.time_in_queue",
    "prefill": "gen_ai.latency.time_in_model_prefill",
    "decode": "gen_ai.latency.time_in_model_decode",
}
"""Seconds in a span of vLLM's, in the order in which the parts follow one another."""


def rename_attributes(attributes: Mapping[str, Any], generation: Generation = "latest") -> dict[str, Any]:
    """Return attributes under the names of one generation, whichever they were written in.

    >>> rename_attributes({"gen_ai.usage.prompt_tokens": 5, "gen_ai.request.model": "m"})
    {'gen_ai.usage.input_tokens': 5, 'gen_ai.request.model': 'm'}
    """
    wanted = GENERATIONS[generation]
    new_names = {
        getattr(names, field): getattr(wanted, field)
        for names in GENERATIONS.values()
        for field in GenAiNames.__dataclass_fields__
    }
    return {new_names.get(name, name): value for name, value in attributes.items()}
