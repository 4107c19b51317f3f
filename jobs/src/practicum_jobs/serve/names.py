"""The names under which a served model is asked for. Pure."""

from __future__ import annotations

from practicum_core.references import parse_reference
from practicum_core.stages.serve import ServeConfig


def list_served_names(config: ServeConfig) -> tuple[str, ...]:
    """Return the names of a model: a short one, and its URI.

    >>> list_served_names(ServeConfig(model="builtin:smollm2-135m"))
    ('smollm2-135m', 'builtin:smollm2-135m')
    >>> list_served_names(ServeConfig(model="hf://Qwen/Qwen2.5-0.5B-Instruct@main"))
    ('Qwen2.5-0.5B-Instruct', 'hf://Qwen/Qwen2.5-0.5B-Instruct@main')
    >>> list_served_names(ServeConfig(model="latest:sft/merged"))
    ('sft', 'latest:sft/merged')
    >>> list_served_names(ServeConfig(served_name="tickets"))
    ('tickets', 'builtin:smollm2-135m')
    """
    uri = config.model
    location = uri.partition(":")[2] or uri
    short = location.partition("/")[0] if parse_reference(uri) is not None else _get_last_part(location)
    names = (config.served_name or short, uri)
    return names if names[0] != names[1] else names[:1]


def _get_last_part(location: str) -> str:
    return location.partition("@")[0].rstrip("/").rpartition("/")[2] or "served"
