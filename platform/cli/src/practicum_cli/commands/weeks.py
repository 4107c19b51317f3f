"""``practicum weeks``: what each week runs, must deliver, and which options its steps take."""

from __future__ import annotations

import types
import typing

import click
from pydantic.fields import FieldInfo

from practicum_cli.tables import format_table
from practicum_core.curriculum import UNITS, VARIANTS, get_unit
from practicum_core.stages import STAGES
from practicum_core.units.unit import Step, Unit


@click.command()
@click.argument("week", required=False)
@click.option("--variant", type=click.Choice(["8", "10", "12"]), default="10", show_default=True, help="Course length.")
def weeks(week: str | None, variant: str) -> None:
    """List the weeks of the course, or describe one WEEK with every option of its steps."""
    if week is None:
        click.echo(_list_weeks(int(variant)))
    else:
        click.echo(_describe_unit(get_unit(week, int(variant))))


def _list_weeks(variant: int) -> str:
    rows = [
        [
            f"week-{number:02d}",
            name,
            UNITS[name].title_en,
            UNITS[name].title_zh,
            ", ".join(step.name for step in UNITS[name].steps),
            ", ".join(UNITS[name].requirements),
            _get_state(UNITS[name]),
        ]
        for number, name in enumerate(VARIANTS[variant], start=1)
    ]
    header = ["WEEK", "UNIT", "TITLE", "标题", "STEPS", "ROWS", "STATE"]
    return format_table(header, rows) + "\n\nOptions of a week's steps: practicum weeks WEEK"


def _get_state(unit: Unit) -> str:
    return "runs" if unit.is_implemented else "not in this version"


def _describe_unit(unit: Unit) -> str:
    parts = [
        f"{unit.name}: {unit.title_en} · {unit.title_zh} ({_get_state(unit)})",
        f"  {unit.goal_en}\n  {unit.goal_zh}",
        f"  course requirements: {', '.join(unit.requirements)}; data: {unit.data_uri}",
    ]
    if unit.gates:
        parts.append("Must deliver (gates):")
        parts += [
            f"  {gate.name}: {gate.step}.{gate.metric}{'' if gate.bound == 'value' else f' ({gate.bound} end of 95%)'} "
            f"{gate.comparison} {gate.threshold:g}\n      {gate.title_en} · {gate.title_zh}"
            for gate in unit.gates
        ]
    exports = [name for step in unit.steps if step.stage in STAGES for name in STAGES[step.stage].exports]
    if exports:
        named = ", ".join(f"latest:{unit.name}/{name}" for name in exports)
        parts.append(f"Later runs may name, as a model or data: {named}")
    parts += [_describe_step(step) for step in unit.steps]
    return "\n".join(parts)


def _describe_step(step: Step) -> str:
    stage = STAGES.get(step.stage)
    if stage is None:
        return f"\nStep {step.name}: stage '{step.stage}' is not in this version"
    heading = f"\nStep {step.name} (stage {step.stage}, environment {stage.environment}); --set {step.name}.KEY=VALUE"
    rows = [
        [f"  {name}", _name_type(field.annotation), _show_default(name, field, step), _describe_field(field)]
        for name, field in stage.config.model_fields.items()
    ]
    return heading + "\n" + format_table(["  KEY", "TYPE", "DEFAULT", "MEANING"], rows)


def _describe_field(field: FieldInfo) -> str:
    bounds = [
        f"{sign} {value}"
        for item in field.metadata
        for attribute, sign in (("ge", ">="), ("gt", ">"), ("le", "<="), ("lt", "<"))
        if (value := getattr(item, attribute, None)) is not None
    ]
    words = [field.description or "", f"({', '.join(bounds)})" if bounds else ""]
    return " ".join(word for word in words if word)


def _show_default(name: str, field: FieldInfo, step: Step) -> str:
    value = step.config.get(name, field.get_default(call_default_factory=True, validated_data=dict(step.config)))
    shown = "none" if value is None else str(value)
    return f"{shown} (quick: {step.quick[name]})" if name in step.quick else shown


def _name_type(annotation: object) -> str:
    origin = typing.get_origin(annotation)
    if origin is typing.Literal:
        return "|".join(map(str, typing.get_args(annotation)))
    if origin in (types.UnionType, typing.Union):
        return "|".join(_name_type(part) for part in typing.get_args(annotation))
    if annotation is types.NoneType:
        return "none"
    return getattr(annotation, "__name__", str(annotation)) if origin is None else str(annotation)
