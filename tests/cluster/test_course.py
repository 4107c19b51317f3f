"""One student takes weeks 3 to 6 on a real cluster by `kubectl apply` alone, each week on the results of those before.

The weeks are the course's own manifests, with less to compute; week 6 loads what it made in vLLM and llama.cpp. They
run where ``PRACTICUM_E2E_SERVING=1`` is set.
"""

from __future__ import annotations

import json
import logging
import os
import time

import pytest
import yaml

from practicum_cluster.shipping import build_shipments
from school import ROOT
from serving import install_serving

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(2400)]
LOGGER = logging.getLogger(__name__)
MANIFESTS = ROOT / "manifests/course-10"
STUDENT = "student-01"
FEW = {"limit": 4, "control_limit": 4, "max_new_tokens": 8}


def give(options, *steps):
    return {f"{step}.{name}": value for step in steps for name, value in options.items()}


TRAINED = give({"max_steps": 2, "batch_size": 1, "validation_rows": 4}, "sft")
OPTIONS = {
    "week-03": TRAINED | give({"num_prompts": 2, "max_new_tokens": 8}, "inference") | give(FEW, "evaluate"),
    "week-04": give(FEW, "evaluate") | {"compare.num_resamples": 1000},
    "week-05": TRAINED
    | {"sft.num_epochs": 1, "iterate.train_rows": 8, "iterate.fresh_rows": 4}
    | give(FEW, "evaluate-fresh", "evaluate-seen"),
    "week-06": {"quantize.formats": ["gguf-q8_0", "int8"], "quantize.num_texts": 2, "quantcheck.concurrency": [1, 4]}
    | give(FEW | {"timeout_s": 600}, "quantcheck"),
}
"""Options that make a week small, by its name."""
GATES = {
    "week-03": {"no_leakage", "export_agrees"},
    "week-04": {"no_leakage"},
    "week-05": {"no_leakage_enlarged", "lineage"},
    "week-06": {"no_leakage", "clean_calibration", "all_measured", "same_prompts", "same_template"},
}
"""Gates that say something of so little: a handful of rows shows no improvement."""
BUILT_ON = {
    "week-04": {"latest:sft/merged": "week-03"},
    "week-05": {
        "latest:evaluate/stages/analyze/failures.jsonl": "week-04",
        "latest:evaluate/stages/evaluate/samples.jsonl": "week-04",
        "latest:sft/merged": "week-03",
    },
    "week-06": {"latest:sft/merged": "week-03"},
}
"""The run that each reference of a week must have found, by the week that left it."""


@pytest.fixture(scope="module")
def course(school):
    """The class, with every image that a week needs on its node."""
    if not os.environ.get("PRACTICUM_E2E_SERVING"):
        pytest.skip("weeks 3 to 6 take eight minutes in pods: set PRACTICUM_E2E_SERVING=1")
    if not school.is_own:
        pytest.skip("this cluster is somebody else's: images of the tests are not brought into its nodes")
    school.cluster.ship(*build_shipments(["quantize", "serve"]))
    install_serving(school, source="serve")
    return school


def apply_week(course, folder, week):
    """Apply the file of a week as the student, made small, and return how it ended."""
    document = yaml.safe_load((MANIFESTS / f"{week}.yaml").read_text(encoding="utf-8"))
    document["spec"] |= {"profile": "quick", "set": OPTIONS[week]}
    data = document["spec"]["data"]
    if data["uri"].partition("?")[0] == "builtin:tickets":
        data["uri"] = "builtin:tickets?rows=200"
    (folder / f"{week}.yaml").write_text(json.dumps(document))
    # Other tests of the class have the student run weeks of these names.
    course.client.kubectl("delete", "weekjob", week, "--namespace", STUDENT, "--ignore-not-found")
    said = course.try_as(STUDENT, "apply", "-n", STUDENT, "-f", folder / f"{week}.yaml")
    assert f"weekjob.practicum.dev/{week} created" in said
    return course.wait_end(STUDENT, week, 1200)


@pytest.mark.parametrize("week", OPTIONS)
def test_the_student_ends(course, tmp_path, week):
    started_s = time.monotonic()
    end = apply_week(course, tmp_path, week)
    gates = {gate["name"]: gate["passed"] for gate in end.get("gates", ())}
    LOGGER.info("%s: %s in %.0f s, %s", week, end["phase"], time.monotonic() - started_s, gates)
    assert end["phase"] == "Succeeded", end
    assert {name for name in GATES[week] if not gates[name]} == set(), gates
    lineage = json.loads(course.read_run_text(STUDENT, week, "lineage.lock.json") if week in BUILT_ON else "{}")
    found = {one["reference"]: one["run_id"] for one in lineage.get("built_on", ())}
    assert found == {
        reference: course.get_run_id(STUDENT, earlier) for reference, earlier in BUILT_ON.get(week, {}).items()
    }
    assert "<html" in course.read_page(STUDENT, week)
