"""One student takes the ten weeks on a real cluster by one `kubectl apply`; each waits for those that it builds on.

The weeks are the course's own manifests, with less to compute. Week 6 loads what it made in vLLM and llama.cpp; in
weeks 7, 8 and 10 the tests' fake engine serves. They run where ``PRACTICUM_E2E_SERVING=1`` is set.
"""

from __future__ import annotations

import datetime as dt
import json
import logging
import os

import pytest
import yaml

from practicum_cluster.api import wait_until
from practicum_cluster.shipping import build_shipments
from school import ROOT
from serving import SHORT_LOAD_TEST, install_serving

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(2400)]
LOGGER = logging.getLogger(__name__)
MANIFESTS = ROOT / "manifests/course-10"
STUDENT = "student-01"
FEW = {"limit": 4, "max_new_tokens": 8}
FEW_OF_BOTH = FEW | {"control_limit": 4}


def give(options, *steps):
    return {f"{step}.{name}": value for step in steps for name, value in options.items()}


TRAINED = give({"max_steps": 2, "batch_size": 1, "validation_rows": 4}, "sft")
SMALL_CACHE = {"serve.kv_cache_gib": 0.25}
COMPARED = give(FEW_OF_BOTH, "evaluate") | {"compare.num_resamples": 1000}
OPTIONS = {
    "week-01": give(FEW, "evaluate"),
    "week-02": {},
    "week-03": TRAINED | give({"num_prompts": 2, "max_new_tokens": 8}, "inference") | give(FEW_OF_BOTH, "evaluate"),
    "week-04": COMPARED,
    "week-05": TRAINED
    | {"sft.num_epochs": 1, "iterate.train_rows": 8, "iterate.fresh_rows": 4}
    | give(FEW_OF_BOTH, "evaluate-fresh", "evaluate-seen"),
    "week-06": {"quantize.formats": ["gguf-q8_0", "int8"], "quantize.num_texts": 2, "quantcheck.concurrency": [1, 4]}
    | give(FEW_OF_BOTH | {"timeout_s": 600}, "quantcheck"),
    "week-07": SHORT_LOAD_TEST | SMALL_CACHE,
    "week-08": {"chaos.experiments": ["kill", "slow-first-token", "errors"], "replay.replays": 1, "rungcheck.limit": 4}
    | SMALL_CACHE,
    "week-09": {},
    "week-10": give(FEW, "baseline") | COMPARED | SHORT_LOAD_TEST,
}
"""Options that make a week small, by its name."""
SIZES = {
    "week-07": {"cpu": "200m", "memory": "2Gi"},
    "week-08": {"cpu": "200m", "memory": "2Gi"},
    "week-10": {"cpu": "600m", "memory": "5Gi"},
}
"""Resources of weeks whose servers run beside their client, those of weeks 7 and 8 together, on a node of two cores."""
GATES = {
    "week-01": {"no_leakage"},
    "week-02": {"rows_read", "recall", "precision", "clean_copy"},
    "week-03": {"no_leakage", "export_agrees"},
    "week-04": {"no_leakage"},
    "week-05": {"no_leakage_enlarged", "lineage"},
    "week-06": {"no_leakage", "clean_calibration", "all_measured", "same_prompts", "same_template"},
    "week-07": {"client_kept_up", "stated_rate_kept", "none_failed_below_knee", "bottleneck_named"},
    "week-08": {"all_steady", "all_made", "none_lost", "ladder_came_back", "all_undone", "described"},
    "week-09": {"dossiers", "reproduces", "cause", "red_before", "green_after"},
    "week-10": {"no_leakage", "weeks_present", "chain_whole"},
}
"""Gates that say something of so little: a handful of rows shows no improvement."""
UNITS = ("experiments", "data", "sft", "evaluate", "iterate", "quantize", "serving", "availability")
BUILT_ON = {
    "week-04": {"latest:sft/merged": "week-03"},
    "week-05": {
        "latest:evaluate/stages/analyze/failures.jsonl": "week-04",
        "latest:evaluate/stages/evaluate/samples.jsonl": "week-04",
        "latest:sft/merged": "week-03",
    },
    "week-06": {"latest:sft/merged": "week-03"},
    "week-10": {
        "latest:sft/merged": "week-03",
        **{f"latest:{unit}/evidence/evidence.json": f"week-{number:02}" for number, unit in enumerate(UNITS, 1)},
    },
}
"""The run that each reference of a week must have found, by the week that left it."""


@pytest.fixture(scope="module")
def course(school):
    """The class, with every image that a week needs on its node."""
    if not os.environ.get("PRACTICUM_E2E_SERVING"):
        pytest.skip("the ten weeks take fifteen minutes in pods: set PRACTICUM_E2E_SERVING=1")
    if not school.is_own:
        pytest.skip("this cluster is somebody else's: images of the tests are not brought into its nodes")
    school.cluster.ship(*build_shipments(["quantize", "serve"]))
    install_serving(school, source="serve")
    return school


def write_week(folder, week):
    """Write the file of a week of the course, made small."""
    document = yaml.safe_load((MANIFESTS / f"{week}.yaml").read_text(encoding="utf-8"))
    document["spec"] |= {"profile": "quick", "set": OPTIONS[week]}
    if week in SIZES:
        document["spec"]["resources"] = SIZES[week]
    data = document["spec"]["data"]
    if data["uri"].partition("?")[0] == "builtin:tickets":
        data["uri"] = "builtin:tickets?rows=200"
    (folder / f"{week}.yaml").write_text(json.dumps(document))


@pytest.fixture(scope="module")
def applied(course, tmp_path_factory):
    """The course, all weeks of which the student applied at once."""
    folder = tmp_path_factory.mktemp("weeks")
    for week in OPTIONS:
        write_week(folder, week)
    # Other tests of the class have the student run weeks of these names.
    course.client.kubectl("delete", "weekjob", *OPTIONS, "--namespace", STUDENT, "--ignore-not-found")
    said = course.try_as(STUDENT, "apply", "-n", STUDENT, "-f", folder)
    assert said.split() == [word for week in OPTIONS for word in (f"weekjob.practicum.dev/{week}", "created")]
    return course


def test_the_student_is_told_what_a_week_waits_for(applied):
    def look():
        status = applied.read_status(STUDENT, "week-04")
        return status if status.get("message") else None

    status = wait_until(look, "what week 4 waits for", 60, 0.5)
    assert (status["phase"], status["reason"]) == ("Queued", "EarlierWeekUnfinished"), status
    assert status["message"].endswith("builds on week-03, not ended yet"), status


def read_time(status, name):
    return dt.datetime.fromisoformat(status[name])


@pytest.mark.parametrize("week", OPTIONS)
def test_the_student_ends(applied, week):
    end = applied.wait_end(STUDENT, week, 2300)
    gates = {gate["name"]: gate["passed"] for gate in end.get("gates", ())}
    applied_at = dt.datetime.fromisoformat(applied.read(STUDENT, week)["metadata"]["creationTimestamp"])
    times = [(read_time(end, name) - applied_at).total_seconds() for name in ("startTime", "completionTime")]
    LOGGER.info("%s: %s, started and ended %s s after `kubectl apply`, %s", week, end["phase"], times, gates)
    assert end["phase"] == "Succeeded", end
    assert {name for name in GATES[week] if not gates[name]} == set(), gates
    lineage = json.loads(applied.read_run_text(STUDENT, week, "lineage.lock.json") if week in BUILT_ON else "{}")
    found = {one["reference"]: one["run_id"] for one in lineage.get("built_on", ())}
    built_on = BUILT_ON.get(week, {})
    assert found == {reference: applied.get_run_id(STUDENT, earlier) for reference, earlier in built_on.items()}
    earlier = [read_time(applied.read_status(STUDENT, one), "completionTime") for one in built_on.values()]
    assert all(ended <= read_time(end, "startTime") for ended in earlier)
    assert "<html" in applied.read_page(STUDENT, week)


def read_record(course, week, step):
    return json.loads(course.read_run_text(STUDENT, week, f"stages/{step}/record.json"))


def test_every_experiment_was_made_on_pods_of_its_own_week(applied):
    record = read_record(applied, "week-08", "chaos")
    LOGGER.info("%s", [(one["name"], one["verdict"], one["num_requests"]) for one in record["results"]])
    assert [one["name"] for one in record["results"]] == ["kill", "slow-first-token", "errors"]
    assert record["notes"] == []
    described = read_record(applied, "week-08", "describe")["deployment"]["components"]
    assert {one["name"] for one in described} == {"serve", "faultproxy", "gateway"}
    assert all(".student-01.svc" in one["url"] for one in described), described


def test_the_defence_repeated_the_evaluations_of_pods_that_had_ended(applied):
    reruns = read_record(applied, "week-10", "capstone")["reruns"]
    LOGGER.info("%s", [(one["of"], one["agreement"], one["differences"]) for one in reruns])
    agreements = {one["step"]: one["agreement"] for one in reruns}
    assert agreements.keys() == {"baseline", "evaluate", "compare", "loadtest"}
    # The figures of a load test are the machine's, which has other work at times.
    assert "differs" not in {agreements[step] for step in ("baseline", "evaluate", "compare")}, reruns
