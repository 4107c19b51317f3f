"""Units that the course has and this version does not: titles, course rows and the stages that they will need."""

from __future__ import annotations

from practicum_core.units.unit import Step, Unit


def declare_unit(name: str, en: str, zh: str, requirements: tuple[str, ...], stages: tuple[str, ...]) -> Unit:
    """Return a unit of which only titles and stages are known."""
    return Unit(name, en, zh, en, zh, requirements, tuple(Step(stage, stage) for stage in stages))


OF_TEN_WEEKS = (
    declare_unit(
        "availability",
        "Observability, replay and degradation",
        "线上可用性",
        ("W8.1", "W8.2", "W8.3", "W8.4", "W8.5"),
        ("serve", "loadtest", "chaos"),
    ),
)
"""Units of the course of 10 weeks."""

OF_OTHER_LENGTHS = (
    declare_unit("availability-brief", "Minimal availability", "最小线上可用性", ("V8.3",), ("serve", "chaos")),
    declare_unit("performance", "Performance deep dive", "性能深挖", ("V12.2",), ("profile",)),
    declare_unit(
        "capstone-extended",
        "Capstone with replay and re-iteration",
        "Capstone 扩展",
        ("V12.3",),
        ("capstone", "replay"),
    ),
)
"""Units of the courses of 8 and 12 weeks alone."""
