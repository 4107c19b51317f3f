"""Objects of strangers on a real API server, with the controller's labels on them: nothing restarts, nothing goes.

``PRACTICUM_STRANGERS`` sets how many are written: 2,000 take about a minute and a half.
"""

from __future__ import annotations

import asyncio
import os
import random
import uuid
from concurrent.futures import ThreadPoolExecutor

import pytest

from controller_stand import Stand, run, until
from practicum_controller import metrics
from practicum_core import labels

pytestmark = pytest.mark.cluster
NUM_OBJECTS = int(os.environ.get("PRACTICUM_STRANGERS", "300"))
NAMES_OF_OBJECTS = {f"theirs-{number}" for number in range(NUM_OBJECTS)}
WORDS = ("", "1", "two", "1.5", "9" * 40, "sft", "model", "abc")
VALUES = (None, 0, 1.5, True, "Running", "RUNNING", "2026-13-01", [], ["no"], {}, {"type": 1}, [{"type": "Failed"}])
STATUS = ("conditions", "jobStatus", "jobDeploymentStatus", "endTime", "startTime", "rayClusterName", "message")
NAMES = (labels.WEEK_JOB_UID, labels.STEP, labels.ATTEMPT, labels.SLICES, labels.WEEK_JOB)
CONTAINER = {"name": "theirs", "image": "registry.example/theirs"}
KINDS = {
    "Job": ("batch/v1", "jobs"),
    "Deployment": ("apps/v1", "deployments"),
    "Service": ("v1", "services"),
    "RayJob": ("ray.io/v1", "rayjobs"),
    "RayCluster": ("ray.io/v1", "rayclusters"),
    "Workload": ("kueue.x-k8s.io/v1beta2", "workloads"),
    "Event": ("v1", "events"),
}


@pytest.fixture
def stand(server, tmp_path):
    return Stand(server, tmp_path, resync_s=1, queue_poll_s=1)


def invent(dice, number, namespaces, uid):
    """Return an object that anybody with rights in a namespace may write; none of them is whole enough to be ours."""
    kind = dice.choice(list(KINDS))
    marks = {name: dice.choice((*WORDS, uid)) for name in dice.sample(NAMES, dice.randrange(len(NAMES)))}
    if dice.random() < 0.5:
        marks[labels.WEEK_JOB_UID] = dice.choice((uid, "abc"))
    # With an owner reference that holds, the labels are what betrays it.
    owner = dice.choice((None, str(uuid.UUID(int=number)), uid))
    if owner == uid:
        marks[labels.SLICES] = "two"
    metadata = {"name": f"theirs-{number}", "namespace": dice.choice(namespaces), "labels": marks}
    if owner:
        reference = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "name": "week-01", "uid": owner}
        metadata["ownerReferences"] = [reference]
    document = {"apiVersion": KINDS[kind][0], "kind": kind, "metadata": metadata}
    match kind:
        case "Job":
            template = {"spec": {"restartPolicy": "Never", "containers": [CONTAINER]}}
            document["spec"] = {"suspend": True, "template": template}
        case "Deployment":
            template = {"metadata": {"labels": {"app": "theirs"}}, "spec": {"containers": [CONTAINER]}}
            document["spec"] = {"selector": {"matchLabels": {"app": "theirs"}}, "template": template}
        case "Service":
            document["spec"] = dice.choice(({"clusterIP": "None"}, {"ports": [{"port": 8000}], "selector": marks}))
        case "Event":
            document["involvedObject"] = {"kind": "Job", "uid": owner, "namespace": metadata["namespace"]}
            document |= {"type": "Warning", "reason": dice.choice(("FailedCreate", "Other")), "message": "no"}
        case _:
            document["spec"] = dice.choice(VALUES)
            document["status"] = {name: dice.choice(VALUES) for name in dice.sample(STATUS, 4)}
    return document


def write(stand, document):
    """Write an object, and what it says of its status, as an operator would."""
    status = document.pop("status", None)
    made = stand.apply(document)
    if status:
        stand.server.api.patch(f"{stand.server.api.get_path(made)}/status", {"status": status})


def list_strangers(stand, namespaces):
    """Return the uids of the strangers' objects, without events that the API server writes of their services."""
    paths = [f"/apis/{group}" if "/" in group else f"/api/{group}" for group, _ in KINDS.values()]
    plurals = [plural for _, plural in KINDS.values()]
    return {
        item["metadata"]["uid"]
        for path, plural in zip(paths, plurals, strict=True)
        for namespace in namespaces
        for item in stand.server.api.get(f"{path}/namespaces/{namespace}/{plural}")["items"]
        if item["metadata"]["name"] in NAMES_OF_OBJECTS
    }


def count_restarts():
    return sum(sample.value for metric in metrics.LOOP_RESTARTS.collect() for sample in metric.samples)


def test_objects_of_strangers_end_no_loop_and_are_not_deleted(stand):
    dice = random.Random(20)
    student, course = f"student-{uuid.uuid4().hex[:6]}", f"llm-{uuid.uuid4().hex[:6]}"
    namespaces = ("default", student)

    async def body():
        restarts = count_restarts()
        async with stand.controller() as controller:
            stand.make_course(course, [student])
            await until(lambda: controller.store.get_course(student), "the course")
            uid = stand.make_week_job(student)["metadata"]["uid"]
            own = (await until(lambda: stand.find_job(student, "model"), "a job"))["metadata"]["uid"]
            with ThreadPoolExecutor(8) as pool:
                objects = [invent(dice, number, namespaces, uid) for number in range(NUM_OBJECTS)]
                made = asyncio.get_running_loop().run_in_executor
                await asyncio.gather(*(made(pool, write, stand, one) for one in objects))
            strangers = list_strangers(stand, namespaces)
            assert len(strangers) == NUM_OBJECTS
            # Beside it are the children of other tests, which share the server.
            await until(lambda: own in controller.store.list_child_uids(), "its own job")
            assert not strangers & controller.store.list_child_uids()
            # Two sweeps and polls of the queue, with everything in view.
            await asyncio.sleep(3)
        # A list holds them too, and another controller begins with one.
        async with stand.controller() as controller:
            await asyncio.sleep(3)
            await until(lambda: own in controller.store.list_child_uids(), "its own job")
            assert not strangers & controller.store.list_child_uids()
            await until(lambda: stand.get_status(student).get("phase") == "Queued", "the queue")
        assert list_strangers(stand, namespaces) == strangers
        assert count_restarts() == restarts

    run(stand, body, 200)
