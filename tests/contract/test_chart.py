"""The chart's committed renderings and README are current, and its schema describes and closes every value."""

from __future__ import annotations

import importlib.util
import json
import os
import shutil
import subprocess
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import pytest
import yaml

ROOT = Path(__file__).parents[2]
CHART = ROOT / "charts" / "practicum"
SPEC = importlib.util.spec_from_file_location("render_chart", ROOT / "tools" / "render_chart.py")
RENDER = importlib.util.module_from_spec(SPEC)
SPEC.loader.exec_module(RENDER)
needs_helm = pytest.mark.skipif(
    not (os.environ.get("PRACTICUM_HELM") or shutil.which("helm") or shutil.which("go")),
    reason="helm is not on this machine, nor Go to build it",
)


def iter_open_or_undescribed(schema, path):
    if not schema.get("description"):
        yield f"{path}: no description"
    if schema.get("properties") and schema.get("additionalProperties") is not False:
        yield f"{path}: open"
    for name, child in schema.get("properties", {}).items():
        yield from iter_open_or_undescribed(child, f"{path}.{name}")


def test_schema_describes_and_closes_everything():
    schema = json.loads((CHART / "values.schema.json").read_text())
    assert list(iter_open_or_undescribed(schema, "")) == []


def test_readme_is_current():
    assert (CHART / "README.md").read_text(encoding="utf-8") == RENDER.build_readme(), "run `make docs`"


@needs_helm
@pytest.mark.parametrize("name", RENDER.list_examples())
def test_rendered_example_is_current(name):
    text = RENDER.NOTICE + RENDER.render(name)
    assert (CHART / "examples" / f"{name}.yaml").read_text(encoding="utf-8") == text, "run `make docs`"


@needs_helm
@pytest.mark.parametrize(
    ("option", "said"),
    [
        ("imagess.tag=x", "imagess"),
        ("controller.replica=2", "replica"),
        ("controller.logLevel=loud", "logLevel"),
        ("controller.replicas=2", "database.existingSecret"),
        ("ingest.port=https", "port"),
    ],
)
def test_wrong_value_is_refused(option, said):
    command = [str(RENDER.find_helm()), "template", "practicum", str(CHART), "--kube-version", RENDER.KUBERNETES]
    result = subprocess.run([*command, "--set", option], capture_output=True, text=True, timeout=60, check=False)
    assert result.returncode != 0
    assert said in result.stderr


@pytest.mark.parametrize("name", RENDER.list_examples())
def test_pod_is_restricted(name):
    documents = list(yaml.safe_load_all((CHART / "examples" / f"{name}.yaml").read_text(encoding="utf-8")))
    pod = next(one for one in documents if one and one["kind"] == "Deployment")["spec"]["template"]["spec"]
    assert pod["securityContext"]["runAsNonRoot"] is True
    assert pod["securityContext"]["seccompProfile"]["type"] == "RuntimeDefault"
    for container in pod["containers"] + pod.get("initContainers", []):
        assert container["securityContext"] == {
            "allowPrivilegeEscalation": False,
            "readOnlyRootFilesystem": True,
            "capabilities": {"drop": ["ALL"]},
        }


def list_paths(values, path=()):
    for name, value in values.items():
        yield ".".join([*path, name])
        if isinstance(value, dict):
            yield from list_paths(value, (*path, name))


@needs_helm
def test_a_value_set_to_null_is_refused_by_the_schema_or_is_no_fault():
    values = yaml.safe_load((CHART / "values.yaml").read_text(encoding="utf-8"))
    command = [str(RENDER.find_helm()), "template", "practicum", str(CHART), "--kube-version", RENDER.KUBERNETES]

    def render(path):
        done = subprocess.run(
            [*command, "--set", f"{path}=null"], capture_output=True, text=True, timeout=300, check=False
        )
        return path, done.returncode, done.stderr

    with ThreadPoolExecutor(2) as pool:
        answers = list(pool.map(render, list_paths(values)))
    bad = [answer for answer in answers if answer[1] and "missing propert" not in answer[2]]
    assert bad == []
    # What a container need not ask for may be left out, and what values of an earlier chart do not have.
    assert {path for path, code, _ in answers if not code} == {
        "observability",
        "controller.resources.requests",
        "controller.resources.requests.cpu",
        "controller.resources.requests.memory",
        "controller.resources.limits",
        "controller.resources.limits.memory",
    }


@needs_helm
@pytest.mark.parametrize("secret", ["", "practicum-tls"])
def test_two_renderings_are_the_same_and_the_right_to_secrets_is_narrow(secret):
    command = [str(RENDER.find_helm()), "template", "school", str(CHART), "--kube-version", RENDER.KUBERNETES]
    command += ["--set", f"ingest.tls.existingSecret={secret}"]
    first, second = (subprocess.run(command, capture_output=True, timeout=60, check=True).stdout for _ in range(2))
    assert first == second
    documents = [one for one in yaml.safe_load_all(first) if one]
    own = [] if secret else ["school-practicum-controller-certificate"]
    made = [one for one in documents if one["kind"] == "Secret"]
    assert [one["metadata"]["name"] for one in made] == own
    # Content of ours would be put back at every sync, over the certificate.
    assert all("data" not in one and "stringData" not in one for one in made)
    rules = [rule for one in documents if one["kind"] in ("Role", "ClusterRole") for rule in one["rules"]]
    named = [rule for rule in rules if "secrets" in rule["resources"] or "*" in rule["resources"]]
    assert [(rule.get("resourceNames"), rule["verbs"]) for rule in named] == [(own, ["get", "patch"])] * len(own)
