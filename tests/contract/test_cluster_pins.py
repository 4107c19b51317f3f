"""The modules of the test cluster pin what they share alike: Go's cache then compiles it once, not once a program."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

# KServe 0.20 and KEDA 2.18 replace the clients of Kubernetes, and much that goes with them, by versions of their own.
APART = {"keda", "kserve"}
FOUND = sorted((Path(__file__).parents[2] / "tools/cluster/modules").glob("*/go.mod"))
MODULES = [path for path in FOUND if path.parent.name not in APART]
# What a client of Kubernetes is made of: the half of most programs.
SHARED = (
    "golang.org/x/net",
    "golang.org/x/sys",
    "golang.org/x/text",
    "google.golang.org/protobuf",
    "k8s.io/api",
    "k8s.io/apimachinery",
    "k8s.io/client-go",
    "k8s.io/kube-openapi",
    "k8s.io/utils",
    "sigs.k8s.io/structured-merge-diff/v6",
)


# KubeRay 1.6's webhooks are written for controller-runtime 0.22, and skaffold 2.16 brings a ko that is as old.
BEHIND = {"kuberay", "skaffold"}


@pytest.mark.parametrize("name", SHARED)
def test_the_modules_pin_one_version(name):
    requirement = re.compile(rf"^(?:require)?\s+{re.escape(name)} (\S+)", re.MULTILINE)
    found = {path.parent.name: match[1] for path in MODULES if (match := requirement.search(path.read_text()))}
    if "k8s.io/" in name:
        found = {module: version for module, version in found.items() if module not in BEHIND}
    assert len(found) > 1
    assert len(set(found.values())) == 1, found
