"""Objects that anybody may have written: none of them ends a loop, is counted, or is deleted."""

from __future__ import annotations

import asyncio
import datetime as dt
import random

from practicum_controller import metrics
from practicum_controller.family import get_reason_foreign
from practicum_controller.kinds import JOBS, KINDS
from practicum_controller.observe import list_children
from practicum_controller.reflector import Reflector
from practicum_controller.scene import Membership, Scene
from practicum_controller.steps import observe_steps
from practicum_controller.store import Store
from practicum_controller.supervisor import keep_running
from practicum_core import labels
from practicum_core.curriculum import get_unit

WATCHED = ("WeekJob", "Course", "Namespace", "Job", "RayJob", "RayCluster", "Pod", "Workload", "Event")
WATCHED += ("Deployment", "Service")
UIDS = ("w1", "w2", "abc", "")
WORDS = ("", "1", "two", "-1", "9" * 50, "Running", "RUNNING", "Failed", "2026-01-02T03:04:05Z", "2026-13-01", "True")
NAMES = ("spec", "status", "conditions", "phase", "suspend", "jobStatus", "jobDeploymentStatus", "endTime", "startTime")
NAMES += ("involvedObject", "uid", "type", "reason", "message", "progress", "unit", "rayClusterName", "completionTime")


def invent(dice, depth=0):
    """Return any JSON value, of the words and names that the controller reads."""
    kind = dice.choice(("text", "number", "none", "list", "dict", "dict") if depth < 4 else ("text", "number", "none"))
    match kind:
        case "text":
            return dice.choice(WORDS)
        case "number":
            return dice.choice((0, 1, -1, True, 2**70, 0.5))
        case "list":
            return [invent(dice, depth + 1) for _ in range(dice.randrange(3))]
        case "dict":
            return {dice.choice(NAMES): invent(dice, depth + 1) for _ in range(dice.randrange(4))}
    return None


def invent_object(dice, number):
    names = (labels.WEEK_JOB_UID, labels.STEP, labels.ATTEMPT, labels.SLICES, labels.COURSE)
    marks = {name: dice.choice((*UIDS, *WORDS)) for name in dice.sample(names, dice.randrange(5))}
    metadata = {
        "name": f"object-{number}",
        "namespace": dice.choice(("student-01", "default", "kube-system")),
        "uid": f"u{number}",
        "resourceVersion": str(number + 10),
        "labels": marks,
        "ownerReferences": [{"kind": "WeekJob", "uid": dice.choice(UIDS)} for _ in range(dice.randrange(2))],
    }
    content = {name: invent(dice) for name in ("spec", "status", "involvedObject", "reason", "message", "type")}
    return {"metadata": metadata, **content}


class Watched:
    """A cluster that lists some objects and then shows the same ones change and go."""

    def __init__(self, objects):
        self.objects = objects
        self.is_done = asyncio.Event()

    async def list_pages(self, resource, selection):
        yield self.objects, "1"

    async def watch(self, resource, version, selection):
        for change in ("MODIFIED", "DELETED", "ADDED"):
            for document in self.objects:
                yield change, {"kind": resource.kind, **document}
        self.is_done.set()
        await asyncio.Event().wait()


async def reflect(store, kind, objects):
    watched = Watched(objects)
    task = asyncio.create_task(Reflector(watched, store, KINDS[kind], {}).run())
    done, _ = await asyncio.wait([task, asyncio.create_task(watched.is_done.wait())], return_when="FIRST_COMPLETED")
    assert task not in done, f"the watch of {kind} ended: {task.exception()!r}"
    task.cancel()
    await asyncio.gather(task, return_exceptions=True)


def test_no_object_ends_a_watch_or_hides_another():
    dice = random.Random(15)
    store = Store()
    good = {"metadata": {"name": "week-03", "namespace": "student-01", "uid": "w1", "resourceVersion": "5"}}
    good |= {"spec": {"unit": "sft"}}
    for kind in WATCHED:
        objects = [invent_object(dice, number) for number in range(300)]
        if kind == "WeekJob":
            objects.insert(150, good)
        asyncio.run(reflect(store, kind, objects))
        store.list_gpu_children()
        store.list_orphans()
        store.list_open()
    assert store.week_jobs["student-01", "week-03"]["metadata"]["uid"] == "w1"
    # What is taken for a child at all says so itself, and everything about it can be read.
    children = list_children(store.get_family("w1"))
    assert all(get_reason_foreign(child.main) is None for child in children)
    scene = Scene(good, dt.datetime(2026, 1, 2, tzinfo=dt.UTC), Membership(None), children)
    observe_steps(get_unit("sft"), scene, {}, {})
    assert all(isinstance(child.endpoint, str | None) for child in children)
    assert all(isinstance(child.stopped_at, dt.datetime | None) for child in children)
    assert store.list_orphans() == []


def count(kind):
    return metrics.STRANGERS.labels(kind)._value.get()


def test_a_stranger_is_counted_and_logged_once(caplog):
    before = count("Job")
    marks = {labels.WEEK_JOB_UID: "abc", labels.SLICES: "two"}
    metadata = {"name": "theirs", "namespace": "default", "uid": "j1", "labels": marks, "resourceVersion": "1"}
    asyncio.run(reflect(Store(), JOBS.kind, [{"metadata": metadata, "spec": {"suspend": True}}]))
    assert count("Job") == before + 1
    assert [record.message for record in caplog.records] == [
        "Job default/theirs is left alone: it has no owner reference to the week job abc"
    ]


def test_a_loop_goes_on_after_a_fault(monkeypatch):
    monkeypatch.setattr("practicum_controller.supervisor._PAUSE_S", 0)
    turns = []

    async def body():
        is_third = asyncio.Event()

        async def loop():
            turns.append(len(turns))
            if len(turns) < 3:
                raise ValueError("two")
            is_third.set()
            await asyncio.Event().wait()

        before = metrics.LOOP_RESTARTS.labels("sweep")._value.get()
        task = asyncio.create_task(keep_running("sweep", loop))
        await asyncio.wait_for(is_third.wait(), 30)
        task.cancel()
        await asyncio.gather(task, return_exceptions=True)
        assert metrics.LOOP_RESTARTS.labels("sweep")._value.get() == before + 2

    asyncio.run(body())
