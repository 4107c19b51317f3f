"""Writes the chart's rendered examples and its README from the schema. A test fails when the files differ.

An example is ``examples/NAME.values.yaml`` in the chart; its rendering is ``NAME.yaml`` in the same folder.
"""

from __future__ import annotations

import functools
import json
import os
import shutil
import subprocess
from collections.abc import Iterator, Mapping
from pathlib import Path
from typing import Any

import yaml

ROOT = Path(__file__).resolve().parents[1]
CHART = ROOT / "charts" / "practicum"
EXAMPLES = CHART / "examples"
RELEASE, NAMESPACE = "practicum", "practicum-system"
NOTICE = "# Written by `make docs` from the chart. Do not edit.\n"
KUBERNETES = "1.36.3"
CAPABILITIES = ("kueue.x-k8s.io/v1beta2/ClusterQueue", "ray.io/v1/RayJob")
_INTRODUCTION = """<!-- Written by `make docs` from values.schema.json. Do not edit. -->
# Chart `practicum`

Installs the controller, the custom resource definitions, the roles of students and teachers, and the admission policy.
Kueue (0.15 or newer) and KubeRay (1.6 or newer) are installed separately; the notes after an installation say what is
missing. For the next commands, see the [notes](templates/NOTES.txt).

安装控制器、自定义资源定义、学生与教师的角色以及准入策略。Kueue（0.15 及以上）与 KubeRay（1.6 及以上）需另行安装；
安装后的提示会说明缺少什么。接下来的命令见[安装提示](templates/NOTES.txt)。

```sh
helm upgrade --install practicum charts/practicum --namespace practicum-system --create-namespace
```

Install one release per cluster, because the custom resources and the role `practicum-student` are cluster-scoped. The
definitions are templates, so `helm upgrade` upgrades them; they have `helm.sh/resource-policy: keep`, so
`helm uninstall` deletes no week jobs. The volume of the history is kept as well.

Rendered examples: {examples}.

## Values

| value | type | default | meaning |
|---|---|---|---|
"""


@functools.cache
def find_helm() -> Path:
    """Return the path of helm: ``$PRACTICUM_HELM``, helm on the path, or one built from its pinned module."""
    given = os.environ.get("PRACTICUM_HELM") or shutil.which("helm")
    if given:
        return Path(given)
    command = [str(ROOT / "tools" / "cluster" / "build.sh"), "helm"]
    return Path(subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.strip())


def build_files() -> dict[str, str]:
    """Return the text of every generated file by its path in the repository."""
    files = {"charts/practicum/README.md": build_readme()}
    for name in list_examples():
        files[f"charts/practicum/examples/{name}.yaml"] = NOTICE + render(name)
    return files


def list_examples() -> list[str]:
    """Return the names of the examples."""
    return sorted(path.name.removesuffix(".values.yaml") for path in EXAMPLES.glob("*.values.yaml"))


def render(example: str) -> str:
    """Return the rendering of the chart with the values of an example."""
    command = [str(find_helm()), "template", RELEASE, str(CHART), "--namespace", NAMESPACE]
    command += ["--kube-version", KUBERNETES]
    command += ["--values", str(EXAMPLES / f"{example}.values.yaml")]
    command += [f"--api-versions={capability}" for capability in CAPABILITIES]
    return subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True, timeout=60).stdout


def build_readme() -> str:
    """Return the README of the chart: what it installs, and all values with their defaults."""
    schema = json.loads((CHART / "values.schema.json").read_text(encoding="utf-8"))
    defaults = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    examples = ", ".join(f"[{name}](examples/{name}.yaml)" for name in list_examples())
    rows = [f"| `{row[0]}` | {row[1]} | {row[2]} | {row[3]} |" for row in _iter_rows(schema, defaults, "")]
    return _INTRODUCTION.format(examples=examples) + "\n".join(rows) + "\n"


def _iter_rows(schema: Mapping[str, Any], defaults: object, path: str) -> Iterator[tuple[str, str, str, str]]:
    for name, child in schema.get("properties", {}).items():
        if name == "global":
            continue
        key = f"{path}.{name}" if path else name
        default = defaults.get(name) if isinstance(defaults, dict) else None
        if child.get("properties") and default != {}:
            yield from _iter_rows(child, default, key)
        else:
            shown = "" if default is None else f"`{json.dumps(default)}`"
            yield key, _name_type(child), shown, child["description"].replace("|", "\\|")


def _name_type(schema: Mapping[str, Any]) -> str:
    if "enum" in schema:
        return " or ".join(f"`{value}`" for value in schema["enum"])
    return str(schema["type"])


def main() -> None:
    """Write every file and remove renderings of examples that do not exist any more."""
    files = build_files()
    for path in EXAMPLES.glob("*.yaml"):
        is_values = path.name.endswith(".values.yaml")
        if not is_values and str(path.relative_to(ROOT)) not in files:
            path.unlink()
    for name, text in files.items():
        (ROOT / name).write_text(text, encoding="utf-8")


if __name__ == "__main__":
    main()
