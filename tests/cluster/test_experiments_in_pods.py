"""Week 8 in pods: its experiments break the pods of their own week job through the cluster's API, and no others.

The tests' fake engine serves. They run where ``PRACTICUM_E2E_SERVING=1`` is set.
"""

from __future__ import annotations

import json
import logging
import os
import shlex

import pytest

pytestmark = [pytest.mark.e2e, pytest.mark.cluster, pytest.mark.node, pytest.mark.timeout(1500)]
LOGGER = logging.getLogger(__name__)
NAME = "broken"
EXPERIMENTS = ("kill", "hang", "out-of-memory", "full-disk", "dns", "clock", "revoked-key", "slow-first-token")
WEEK = {
    "unit": "availability-brief",
    "set": {"chaos.experiments": list(EXPERIMENTS), "replay.replays": 1},
    "resources": {"cpu": "400m", "memory": "4Gi"},
}


@pytest.fixture(scope="module")
def record(serving):
    """What the stage chaos of a student's week found."""
    if not os.environ.get("PRACTICUM_E2E_SERVING"):
        pytest.skip("eight experiments take eight minutes: set PRACTICUM_E2E_SERVING=1")
    serving.apply("student-01", NAME, **WEEK)
    end = serving.wait_end("student-01", NAME, 1200)
    assert end["phase"] == "Succeeded", end
    # That a replay takes the same steps is one of them.
    assert [gate for gate in end["gates"] if not gate["passed"]] == []
    yield json.loads(serving.read_run_text("student-01", NAME, "stages/chaos/record.json"))
    serving.client.kubectl("delete", "weekjob", NAME, "--namespace", "student-01")


def test_every_experiment_is_made_in_pods_and_the_service_holds(record):
    for one in record["results"]:
        steps = [(step["before"], step["after"]) for step in one["changes"]]
        told = {name: one[name] for name in ("num_requests", "num_full", "num_degraded", "num_errors", "num_lost")}
        LOGGER.info("%s: %s, %s, down %s, back %s", one["name"], told, steps, one["down_s"], one["back_s"])
    assert record["notes"] == []
    told = ("verdict", "error", "left_behind", "findings")
    missed = {one["name"]: [one[name] for name in told] for one in record["results"]}
    assert {name: seen for name, seen in missed.items() if seen[0] != "held"} == {}
    assert [one["name"] for one in record["results"]] == list(EXPERIMENTS)
    assert {one["num_lost"] for one in record["results"]} == {0}
    went_down = {one["name"] for one in record["results"] if one["changes"]}
    assert {"kill", "hang", "out-of-memory", "dns"} <= went_down


def test_the_command_that_repeats_an_experiment_is_taken(record, serving):
    told = next(one["repeat"] for one in record["results"] if one["name"] == "hang")
    document = json.loads(shlex.split(told.partition(" | ")[0])[1])
    assert document["spec"]["set"]["chaos.experiments"] == ["hang"]
    assert told.endswith(" | kubectl create -n student-01 -f -")
    path = "/apis/practicum.dev/v1alpha1/namespaces/student-01/weekjobs?dryRun=All"
    made = serving.become("student-01").request("POST", path, document)
    assert made["metadata"]["name"].startswith(f"{NAME}-")


@pytest.mark.parametrize("verb", ["delete pods", "create pods --subresource=exec"])
def test_experiments_may_break_pods_of_their_own_student_alone_and_students_none(serving, verb):
    account = "system:serviceaccount:student-01:practicum-chaos"
    assert "yes" in serving.try_as(account, "auth", "can-i", *verb.split(), "-n", "student-01")
    for who, where in ((account, "student-02"), (account, "practicum-system"), ("student-01", "student-01")):
        assert "yes" not in serving.try_as(who, "auth", "can-i", *verb.split(), "-n", where)
