"""The table of stage environments. Each has a lock file and a container image.

Lock compiler, image build, chart, skaffold, controller and command use this table; a test checks that they agree.
"""

from __future__ import annotations

from dataclasses import dataclass

from practicum_core.errors import ConfigError, suggest_similar


@dataclass(frozen=True)
class Environment:
    """A named set of pinned packages.

    ``requirements/<name>.txt`` is its lock, ``images/<name>`` its image, and ``practicum-<name>`` the image's name.
    """

    name: str
    purpose: str

    @property
    def lock(self) -> str:
        """File name of the lock below ``requirements/``."""
        return f"{self.name}.txt"

    @property
    def image(self) -> str:
        """Name of the image, without registry and tag."""
        return f"practicum-{self.name}"


_ROWS = (
    Environment("base", "data, reports and servers that need no model library"),
    Environment("train", "everything that loads a model: torch, transformers, TRL, PEFT, Ray"),
    Environment("quantize", "tools that make GPTQ, AWQ, int8, FP8, NF4 and GGUF files of a model"),
    Environment("serve", "inference engines on a CPU, vLLM and llama.cpp, beside all of train"),
    Environment("gateway", "the gateway before inference engines"),
)
ENVIRONMENTS: dict[str, Environment] = {row.name: row for row in _ROWS}


def get_environment(name: str) -> Environment:
    """Return the environment called ``name``.

    Raises:
        ConfigError: The table has no such row.

    >>> get_environment("train").image
    'practicum-train'
    """
    if name not in ENVIRONMENTS:
        raise ConfigError(
            f"unknown environment '{name}'{suggest_similar(name, ENVIRONMENTS)}",
            f"environments: {', '.join(ENVIRONMENTS)}",
        )
    return ENVIRONMENTS[name]
