"""The stages that exist. Each module of this package that exports ``SPEC`` is one; there is no other list.

A package of somebody else's adds stages when ``PRACTICUM_STAGE_PACKAGES`` names it: every module of its ``stages``
package that exports ``SPEC``, and the units of its module ``units`` (:mod:`practicum_core.curriculum`).
"""

from __future__ import annotations

import importlib
import os
import pkgutil
from collections.abc import Iterator

from practicum_core.errors import ConfigError, suggest_similar
from practicum_core.stages.base import StageConfig, StageRecord
from practicum_core.stages.spec import StageSpec

__all__ = [
    "PACKAGES_VARIABLE",
    "STAGES",
    "StageConfig",
    "StageRecord",
    "StageSpec",
    "find_specs",
    "get_stage",
    "list_added_packages",
]

PACKAGES_VARIABLE = "PRACTICUM_STAGE_PACKAGES"


def list_added_packages() -> list[str]:
    """List the packages that add stages to this installation, as the environment names them."""
    return [name for name in os.environ.get(PACKAGES_VARIABLE, "").split(",") if name]


def find_specs(package: str) -> Iterator[StageSpec]:
    """Find the stages of a package: the ``SPEC`` of each of its modules that has one, in the order of their names."""
    folder = importlib.import_module(package)
    for module in sorted(pkgutil.iter_modules(folder.__path__), key=lambda found: found.name):
        spec = getattr(importlib.import_module(f"{package}.{module.name}"), "SPEC", None)
        if isinstance(spec, StageSpec):
            yield spec


def _discover() -> dict[str, StageSpec]:
    stages: dict[str, StageSpec] = {}
    for package in (__name__, *(f"{name}.stages" for name in list_added_packages())):
        for spec in find_specs(package):
            if spec.name in stages:
                raise ConfigError(f"{package}: a stage '{spec.name}' exists already", "give it another name")
            stages[spec.name] = spec
    return stages


STAGES: dict[str, StageSpec] = _discover()


def get_stage(name: str) -> StageSpec:
    """Return the stage named ``name``.

    Raises:
        ConfigError: There is no such stage.
    """
    if name in STAGES:
        return STAGES[name]
    raise ConfigError(f"unknown stage '{name}'{suggest_similar(name, STAGES)}", f"stages: {', '.join(STAGES)}")
