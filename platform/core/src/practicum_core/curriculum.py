"""The curriculum: the units by name, and the weeks of each variant.

It also declares units whose stages do not exist yet, so that ``practicum weeks`` shows the whole course.
:func:`require_implemented` rejects a unit with such a step.
"""

from __future__ import annotations

import importlib
import re
from collections.abc import Iterator

from practicum_core.errors import ConfigError, Reason, suggest_similar
from practicum_core.stages import STAGES, list_added_packages
from practicum_core.units.alignment_risk import ALIGNMENT_RISK
from practicum_core.units.availability import AVAILABILITY, AVAILABILITY_BRIEF
from practicum_core.units.blind_test import BLIND_MAKE, BLIND_REVEAL
from practicum_core.units.capstone import CAPSTONE
from practicum_core.units.capstone_extended import CAPSTONE_EXTENDED
from practicum_core.units.data import DATA
from practicum_core.units.data_and_sft import DATA_AND_SFT
from practicum_core.units.dossier import DOSSIER, DOSSIER_STEP
from practicum_core.units.evaluate import COMPARISON, COMPARISON_OF_FILES, EVALUATE
from practicum_core.units.evaluate_and_iterate import EVALUATE_AND_ITERATE
from practicum_core.units.experiments import EXPERIMENTS
from practicum_core.units.iterate import ITERATE
from practicum_core.units.performance import MEMORY, PERFORMANCE
from practicum_core.units.quantize import QUANTIZE
from practicum_core.units.service import BREAKABLE_SERVICE, CHAOS_TEST, DESCRIPTION, LOAD_TEST, REPLAY, SERVICE
from practicum_core.units.serving import SERVING
from practicum_core.units.sft import SFT
from practicum_core.units.shared_steps import MODEL
from practicum_core.units.unit import Step, Unit

_UNITS = (
    EXPERIMENTS,
    DATA,
    SFT,
    EVALUATE,
    ITERATE,
    QUANTIZE,
    SERVING,
    AVAILABILITY,
    DOSSIER,
    CAPSTONE,
    ALIGNMENT_RISK,
    DATA_AND_SFT,
    EVALUATE_AND_ITERATE,
    AVAILABILITY_BRIEF,
    PERFORMANCE,
    CAPSTONE_EXTENDED,
)


def _find_added_units() -> Iterator[Unit]:
    """Find the units of the packages that add stages to this installation."""
    for package in list_added_packages():
        yield from importlib.import_module(f"{package}.units").UNITS


UNITS: dict[str, Unit] = {unit.name: unit for unit in (*_UNITS, *_find_added_units())}


def _audit_unit(name: str, steps: tuple[Step, ...]) -> Unit:
    en, zh = "Audit of data files", "数据文件审计"
    return Unit(name, en, zh, "Find what is wrong with a data file.", "找出数据文件中的问题。", ("W2.2",), steps)


TOOLS: dict[str, Unit] = {
    unit.name: unit
    for unit in (
        _audit_unit("audit", (Step("audit", "audit", config={"model": None}),)),
        _audit_unit("audit-tokens", (MODEL, Step("audit", "audit"))),
        COMPARISON,
        COMPARISON_OF_FILES,
        BLIND_MAKE,
        BLIND_REVEAL,
        SERVICE,
        BREAKABLE_SERVICE,
        LOAD_TEST,
        CHAOS_TEST,
        REPLAY,
        DESCRIPTION,
        DOSSIER_STEP,
        MEMORY,
    )
}
"""Units that commands run outside the weeks: the audit without and with the tokenizer of a model, the
comparison of two models or result files, the blind test, a model in service, load tests and faults of a server,
recorded traffic sent again, the description of a deployment, one step of a dossier, and the memory of training."""
CLUSTER_TOOLS = (SERVICE.name,)
"""Those of them that a week job of a cluster may name."""

_TEN = (
    "experiments",
    "data",
    "sft",
    "evaluate",
    "iterate",
    "quantize",
    "serving",
    "availability",
    "dossier",
    "capstone",
)
VARIANTS: dict[int, tuple[str, ...]] = {
    8: (
        "experiments",
        "data-and-sft",
        "evaluate-and-iterate",
        "quantize",
        "serving",
        "availability-brief",
        "dossier",
        "capstone",
    ),
    10: _TEN,
    12: (
        "experiments",
        "data",
        "alignment-risk",
        "sft",
        "evaluate",
        "iterate",
        "quantize",
        "serving",
        "performance",
        "availability",
        "dossier",
        "capstone-extended",
    ),
}
"""The units of each week, in order, by length of the course in weeks."""


def list_declared_stages() -> list[str]:
    """List the stages of the curriculum that this version does not have yet."""
    return sorted({step.stage for unit in UNITS.values() for step in unit.steps} - STAGES.keys())


def require_implemented(unit: Unit) -> None:
    """Reject a unit with a stage that does not exist yet.

    Raises:
        ConfigError: A stage does not exist (``StageNotImplemented``); the message names it.
    """
    missing = [step.stage for step in unit.steps if step.stage not in STAGES]
    if missing:
        raise ConfigError(
            f"stage '{missing[0]}' is part of the course but not of this version",
            "`practicum weeks` shows the weeks that run",
            Reason.STAGE_NOT_IMPLEMENTED,
        )


_WEEK = re.compile(r"week-([0-9]{2})")


def get_unit(name: str, variant: int = 10) -> Unit:
    """Return a unit by its name, or by ``week-NN`` of the variant.

    Raises:
        ConfigError: There is no such unit or week.

    >>> get_unit("week-03").name
    'sft'
    """
    if variant not in VARIANTS:
        raise ConfigError(f"unknown variant {variant}", "variants: 8, 10, 12")
    weeks = VARIANTS[variant]
    if found := UNITS.get(name) or TOOLS.get(name):
        return found
    match = _WEEK.fullmatch(name)
    if match and 1 <= int(match[1]) <= len(weeks):
        return UNITS[weeks[int(match[1]) - 1]]
    known = [*UNITS, *(f"week-{number:02d}" for number in range(1, len(weeks) + 1))]
    raise ConfigError(
        f"unknown unit '{name}'{suggest_similar(name, known)}", "`practicum weeks` lists the weeks and their units"
    )
