"""The expressions of dashboards and rules, and which of them return nothing."""

from __future__ import annotations

import json
import re
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path

import yaml

FILES = Path(__file__).resolve().parents[2] / "charts/practicum/files"
_VARIABLES = {"$namespace": ".*", "$__rate_interval": "30s"}
_TOKENS = re.compile(r'\{[^}]*\}|"[^"]*"|[<>]=?|[!=]=')


def list_panel_queries(folder: Path = FILES / "dashboards") -> Iterator[tuple[str, str]]:
    """List the expressions of all panels, each with the place where it stands."""
    for path in sorted(folder.glob("*.json")):
        for panel in json.loads(path.read_text(encoding="utf-8"))["panels"]:
            for target in panel["targets"]:
                expression = target["expr"]
                for name, value in _VARIABLES.items():
                    expression = expression.replace(name, value)
                yield f"{path.stem}: {panel['title']}: {target['legendFormat']}", expression


def read_rules(path: Path = FILES / "rules.yaml") -> list[dict]:
    groups = yaml.safe_load(path.read_text(encoding="utf-8"))["groups"]
    return [rule for group in groups for rule in group["rules"]]


def list_rule_queries(rules: Iterable[dict]) -> Iterator[tuple[str, str]]:
    """List the expressions of rules, those of alerts so that they answer whether or not their condition holds."""
    for rule in rules:
        yield rule.get("alert") or rule["record"], compare_by_value(rule["expr"])


def compare_by_value(expression: str) -> str:
    """Let comparisons return 0 or 1, where PromQL leaves out what they do not hold for.

    >>> compare_by_value('max(a{b!="c"}) > 0 and d <= 1')
    'max(a{b!="c"}) > bool 0 and d <= bool 1'
    """

    def replace(found: re.Match) -> str:
        text = found[0]
        return text if text[0] in '{"' else f"{text} bool"

    return _TOKENS.sub(replace, expression)


def find_silent(queries: Iterable[tuple[str, str]], ask: Callable[[str], list]) -> list[str]:
    """Return the places whose expressions return no series."""
    return [where for where, expression in queries if not ask(expression)]
