"""Writes docs/reference/*.md from the models. A test fails when the files differ from what this prints."""

from __future__ import annotations

import ast
import inspect
import sys
from collections.abc import Iterator
from enum import Enum
from pathlib import Path
from types import NoneType, UnionType
from typing import Any, Literal, get_args, get_origin

from pydantic_core import PydanticUndefined

ROOT = Path(__file__).resolve().parents[1]
sys.path[:0] = [str(ROOT / "platform/core/src"), str(ROOT / "platform/controller/src")]

from practicum_controller.metrics import REGISTRY  # noqa: E402 - as below
from practicum_core import (  # noqa: E402 - the path is set first, so that the tool runs from a bare clone
    errors,
    phases,
    state_texts,
)
from practicum_core.curriculum import UNITS, VARIANTS  # noqa: E402
from practicum_core.stages import STAGES, StageConfig, StageSpec  # noqa: E402
from practicum_core.units.unit import Unit  # noqa: E402

NOTICE = "<!-- Written by `make docs` from the models. Do not edit. -->\n"


def build_pages() -> dict[str, str]:
    """Return each reference page's name and text."""
    return {
        "curriculum.md": NOTICE + build_curriculum(),
        "metrics.md": NOTICE + build_metrics(),
        "stages.md": NOTICE + build_stages(),
        "states.md": NOTICE + build_states(),
    }


def build_curriculum() -> str:
    """Describe every variant and unit."""
    parts = ["# Curriculum · 课程\n"]
    for variant, weeks in VARIANTS.items():
        parts.append(f"\n## {variant} weeks · {variant} 周\n\n| week | unit | English | 中文 | runs in this version |")
        parts.append("|---|---|---|---|---|")
        for number, name in enumerate(weeks, start=1):
            unit = UNITS[name]
            runs = "yes" if unit.is_implemented else "not yet"
            parts.append(f"| week-{number:02d} | [{name}](#{name}) | {unit.title_en} | {unit.title_zh} | {runs} |")
    parts.append("\n## Units\n")
    parts.extend(_describe_unit(unit) for unit in UNITS.values())
    return "\n".join(parts)


def _describe_unit(unit: Unit) -> str:
    steps = " → ".join(f"`{step.name}`" for step in unit.steps)
    lines = [
        f"### {unit.name}\n",
        f"{unit.goal_en} {unit.goal_zh}\n",
        f"Course requirements: {', '.join(unit.requirements)}. Steps: {steps}.\n",
    ]
    if unit.gates:
        lines.append("| gate | figure | English | 中文 |\n|---|---|---|---|")
        for gate in unit.gates:
            figure = f"`{gate.step}.{gate.metric}`{'' if gate.bound == 'value' else f' ({gate.bound} end)'}"
            lines.append(
                f"| `{gate.name}` | {figure} {gate.comparison} {gate.threshold:g} | {gate.title_en} | {gate.title_zh} |"
            )
        lines.append("")
    return "\n".join(lines)


def build_stages() -> str:
    """Describe every option of every stage."""
    parts = ["# Stage options\n\nSet one with `--set STEP.KEY=VALUE`, or under `spec.set` of a WeekJob.\n"]
    for spec in STAGES.values():
        summary = (inspect.getdoc(spec.config) or "").splitlines()[0]
        parts.append(f"\n## {spec.name}\n\n{summary} {_describe_environment(spec)}\n")
        parts.append("| key | type | default | meaning |\n|---|---|---|---|")
        parts.extend(_describe_options(spec.config))
    return "\n".join(parts) + "\n"


def _describe_environment(spec: StageSpec) -> str:
    others = ", ".join(f"`{name}`" for name in spec.other_environments)
    return f"Environment: `{spec.environment}`" + (f"; with some options {others}." if others else ".")


def _describe_options(config: type[StageConfig]) -> Iterator[str]:
    for name, field in config.model_fields.items():
        default = "required" if field.default is PydanticUndefined and field.default_factory is None else _show(field)
        kind = describe_type(field.annotation).replace("|", "\\|")
        yield f"| `{name}` | {kind} | {default} | {field.description or ''} |"


def _show(field: Any) -> str:  # noqa: ANN401 - pydantic's field
    value = field.get_default(call_default_factory=True, validated_data={})
    return "none" if value is None else f"`{value}`"


def describe_type(annotation: Any) -> str:  # noqa: ANN401 - any annotation
    """Return a readable name of a type: ``one of a, b``, ``list of str``, ``int``."""
    if get_origin(annotation) is Literal:
        return "one of " + ", ".join(f"`{value}`" for value in get_args(annotation))
    if isinstance(annotation, UnionType):
        return " or ".join(describe_type(part) for part in get_args(annotation) if part is not NoneType)
    if get_origin(annotation) is not None:
        inner = ", ".join(describe_type(part) for part in get_args(annotation))
        return f"{get_origin(annotation).__name__} of {inner}"
    return getattr(annotation, "__name__", str(annotation))


def build_metrics() -> str:
    """Describe every metric that the controller exports to Prometheus."""
    parts = ["# Metrics · 指标\n\nThe controller shows them on its metrics port at `/metrics`.\n"]
    parts.append("| series | type | labels | meaning |\n|---|---|---|---|")
    for collector in REGISTRY._collector_to_names:  # noqa: SLF001 - the library lists them nowhere else
        family = next(iter(collector.describe()))
        name = f"{family.name}_total" if family.type == "counter" else family.name
        labels = ", ".join(f"`{label}`" for label in collector._labelnames)  # type: ignore[attr-defined] # noqa: SLF001
        parts.append(f"| `{name}` | {family.type} | {labels} | {family.documentation} |")
    return "\n".join(parts) + "\n"


def build_states() -> str:
    """Describe phases, conditions, reasons and exit codes."""
    parts = ["# Phases, conditions, reasons\n", "```mermaid\nstateDiagram-v2"]
    parts.extend(f"  {start} --> {end}" for start, end in phases.TRANSITIONS)
    parts.append("```\n")
    parts.append("\n## Phase · 阶段\n\n| name | meaning | 名称 | 含义 |\n|---|---|---|---|")
    for phase, text in state_texts.PHASES.items():
        parts.append(f"| `{phase.value}` | {text.en} | {state_texts.PHASE_NAMES[phase].zh} | {text.zh} |")
    parts.append("\n## Condition\n\n| name | meaning |\n|---|---|")
    parts.extend(f"| `{member.value}` | {text} |" for member, text in read_member_docs(phases.ConditionType))
    parts.append("\n## Reason · 原因\n\n| name | exit code | meaning | 含义 |\n|---|---|---|---|")
    for reason, text in state_texts.REASONS.items():
        parts.append(f"| `{reason.value}` | {errors.get_exit_code(reason)} | {text.en} | {text.zh} |")
    return "\n".join(parts) + "\n"


def read_member_docs(enum: type[Enum]) -> list[tuple[Enum, str]]:
    """Return each member of an enum with its docstring.

    Raises:
        ValueError: A member has no docstring.
    """
    body = ast.parse(inspect.getsource(enum)).body[0]
    assert isinstance(body, ast.ClassDef)  # noqa: S101 - the source of a class is a class
    docs: dict[str, str] = {}
    for before, after in zip(body.body, body.body[1:], strict=False):
        is_doc = isinstance(after, ast.Expr) and isinstance(after.value, ast.Constant)
        if isinstance(before, ast.Assign) and is_doc and isinstance(before.targets[0], ast.Name):
            docs[before.targets[0].id] = str(after.value.value)  # type: ignore[attr-defined] # narrowed above
    missing = [member.name for member in enum if member.name not in docs]
    if missing:
        raise ValueError(f"{enum.__name__}: no documentation under {', '.join(missing)}")
    return [(member, docs[member.name]) for member in enum]


def main() -> None:
    """Write every page below docs/reference."""
    folder = ROOT / "docs" / "reference"
    folder.mkdir(parents=True, exist_ok=True)
    for name, text in build_pages().items():
        (folder / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
