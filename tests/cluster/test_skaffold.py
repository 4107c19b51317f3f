"""The real skaffold reads skaffold.yaml and renders the chart with the images it would build."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from lacks import skip_lacking
from practicum_cluster.layout import ensure_binaries

# Skaffold's first build takes minutes.
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(1800)]
ROOT = Path(__file__).parents[2]
PROFILES = [(), ("--profile", "kind"), ("--profile", "gpu")]
REPOSITORY = "registry.example/llm"


@pytest.fixture(scope="module")
def skaffold(tmp_path_factory):
    if not shutil.which("go"):
        skip_lacking("the program go, which builds skaffold and helm")
    programs = ensure_binaries("skaffold", "helm")
    home = tmp_path_factory.mktemp("home")
    path = f"{programs['helm'].parent}{os.pathsep}{os.environ['PATH']}"
    quiet = {"SKAFFOLD_UPDATE_CHECK": "false", "SKAFFOLD_INTERACTIVE": "false"}
    environment = {**os.environ, **quiet, "PATH": path, "HOME": str(home), "KUBECONFIG": str(home / "none")}

    def call(*arguments):
        command = [programs["skaffold"], *arguments]
        done = subprocess.run(
            command, cwd=ROOT, env=environment, capture_output=True, text=True, timeout=120, check=False
        )
        assert done.returncode == 0, done.stderr
        return done.stdout

    return call


def render(skaffold, file, *profile):
    """Return what the chart makes of the images that would be built, by kind."""
    options = ("--digest-source=tag", "--offline", "--default-repo", REPOSITORY, "--output", str(file))
    skaffold("render", *options, *profile)
    documents = yaml.safe_load_all(file.read_text(encoding="utf-8"))
    return {document["kind"]: document for document in documents if document}


@pytest.mark.parametrize("profile", PROFILES, ids=" ".join)
def test_diagnose_reads_the_file(skaffold, profile):
    effective = yaml.safe_load(skaffold("diagnose", "--yaml-only", *profile))
    files = [artifact["docker"]["dockerfile"] for artifact in effective["build"]["artifacts"]]
    assert sorted(files) == sorted(str(path.relative_to(ROOT)) for path in ROOT.glob("images/*/Dockerfile"))
    pushes = effective["build"]["local"].get("push")
    assert pushes is {(): None, PROFILES[1]: False, PROFILES[2]: True}[profile]


def test_dev_writes_changed_code_into_the_running_controller(skaffold, tmp_path):
    pod = render(skaffold, tmp_path / "rendered.yaml", "--profile", "kind,sync")["Deployment"]["spec"]["template"][
        "spec"
    ]
    (mount,) = (one for one in pod["containers"][0]["volumeMounts"] if one["name"] == "code")
    assert pod["initContainers"][0]["image"] == pod["containers"][0]["image"]
    effective = yaml.safe_load(skaffold("diagnose", "--yaml-only", "--profile", "kind,sync"))
    (artifact,) = (one for one in effective["build"]["artifacts"] if "sync" in one)
    assert artifact["image"] == "practicum-controller"
    copied = (ROOT / "images/controller/Dockerfile").read_text(encoding="utf-8")
    for rule in artifact["sync"]["manual"]:
        package = rule["src"].removesuffix("/**/*.py")
        assert list(ROOT.glob(rule["src"]))
        assert rule["dest"] == mount["mountPath"]
        # Where the image has it, the volume does too.
        assert f"COPY {package} {rule['dest']}/{package.removeprefix(rule['strip'] + '/')}" in copied


@pytest.mark.parametrize("profile", PROFILES, ids=" ".join)
def test_render_hands_the_built_images_to_the_chart(skaffold, profile, tmp_path):
    by_kind = render(skaffold, tmp_path / "rendered.yaml", *profile)
    (container,) = by_kind["Deployment"]["spec"]["template"]["spec"]["containers"]
    images = json.loads(by_kind["ConfigMap"]["data"]["PRACTICUM_IMAGES"])
    names = {"controller": container["image"], **images}
    for name, reference in names.items():
        repository, _, tag = reference.rpartition(":")
        assert repository == f"{REPOSITORY}/practicum-{name}"
        assert tag
    assert container["imagePullPolicy"] == ("Never" if "kind" in profile else "IfNotPresent")
