"""Units that the course has and this version does not: titles, course rows and the stages that they will need."""

from __future__ import annotations

from practicum_core.units.unit import Step, Unit


def declare_unit(name: str, en: str, zh: str, requirements: tuple[str, ...], stages: tuple[str, ...]) -> Unit:
    """Return a unit of which only titles and stages are known."""
    return Unit(name, en, zh, en, zh, requirements, tuple(Step(stage, stage) for stage in stages))


OF_OTHER_LENGTHS = (
    declare_unit(
        "capstone-extended",
        "Capstone with replay and re-iteration",
        "Capstone 扩展",
        ("V12.3",),
        ("capstone", "replay"),
    ),
)
"""Units of the courses of 8 and 12 weeks alone."""
