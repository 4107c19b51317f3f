"""Mutated week jobs and courses on a real API server: each is refused there, or the controller says what is wrong.

``PRACTICUM_FUZZ_OBJECTS`` sets how many are written, three of four of them week jobs: 5,000 take about ten minutes.
"""

from __future__ import annotations

import asyncio
import json
import logging
import os
import random
import time
import uuid
from collections import Counter
from concurrent.futures import ThreadPoolExecutor

import pytest

from controller_stand import GROUP, Stand, run, until
from mutants import Mutator, build_courses, build_weeks
from practicum_cluster.api import ApiError
from practicum_controller import metrics
from practicum_controller.census import count_phases, list_progress

LOGGER = logging.getLogger(__name__)
NUM_OBJECTS = int(os.environ.get("PRACTICUM_FUZZ_OBJECTS", "320"))
SEED = int(os.environ.get("PRACTICUM_FUZZ_SEED", "15"))
NUM_LANES = 8
PATIENCE_S = 60.0
MAX_WRONG = 3
REFUSALS = {400, 404, 409, 413, 422}
MERGE = "application/merge-patch+json"
TRACE = "Traceback (most recent call last)"
pytestmark = [pytest.mark.cluster, pytest.mark.timeout(60 + NUM_OBJECTS)]


class Log(logging.Handler):
    """Keeps what the controller logs of its own faults."""

    def __init__(self):
        super().__init__(logging.WARNING)
        self.faults = []

    def emit(self, record):
        text = logging.Formatter().format(record)
        if record.exc_info or record.levelno >= logging.ERROR:
            self.faults.append(text)


class Lane:
    """Writes one mutated object after another, and looks at each until the controller has said what it makes of it."""

    def __init__(self, stand, number, students, steady):
        self.api = stand.server.api
        self.dice = random.Random(f"{SEED}-{number}")
        self.weeks, self.courses = Mutator(self.dice, "WeekJob"), Mutator(self.dice, "Course")
        # A lane's own courses share its own students, so that they take them from each other.
        self.number = number
        self.names = [f"mutated-{uuid.uuid4().hex[:6]}-{number}" for _ in range(3)]
        self.students, self.steady = students, steady
        self.seen = Counter()
        self.wrong = []

    def live(self, store, count):
        self.store = store
        for number in range(count):
            if len(self.wrong) > MAX_WRONG:
                return
            self.write_week(number) if number % 4 else self.write_course()

    def send(self, method, path, document, content_type="application/json"):
        """Send a mutant; return what was stored, ``None`` if it was refused, which is always with a sentence."""
        try:
            return self.api.request(method, path, document, content_type)
        except ApiError as error:
            self.seen["refused"] += 1
            if error.status not in REFUSALS or "panic" in str(error) or not error.document.get("message"):
                self.wrong.append(f"{error}: {json.dumps(document)}")
            return None

    def write_week(self, number):
        home = self.dice.choice((*[self.steady] * 7, *self.students))
        spec = self.weeks.mutate(self.dice.choice(build_weeks()))
        name = f"week-{self.number}-{number}" + (
            f"-{'x' * 40}"[: self.dice.randrange(30)] if self.dice.random() < 0.1 else ""
        )
        collection = f"{GROUP}/namespaces/{home}/weekjobs"
        document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "metadata": {"name": name}, "spec": spec}
        made = self.send("POST", collection, document)
        if made is None:
            return
        path = f"{collection}/{name}"
        self.watch(made, document)
        is_forged = self.dice.random() < 0.4 and self.forge_status(path, document)
        if self.dice.random() < 0.5:
            changed = {"spec": self.weeks.mutate(spec)}
            made = self.send("PATCH", path, changed, MERGE)
            # Of an end that somebody wrote, the controller says nothing more.
            if made and not is_forged:
                self.watch(made, {**document, "then": changed})
        self.api.delete(path)
        self.wait(lambda: (home, name) not in self.store.week_jobs, "the end of", document)

    def forge_status(self, path, document):
        """Write a status as somebody with too many rights could; return whether the API server took it."""
        document["status"] = self.weeks.build_status()
        if self.send("PATCH", f"{path}/status", {"status": document["status"]}, MERGE) is None:
            return False
        self.seen["status forged"] += 1
        time.sleep(0.1)
        return True

    def write_course(self):
        spec = self.courses.mutate(self.dice.choice(build_courses()))
        if self.dice.random() < 0.9 and isinstance(spec.get("students", []), list):
            picked = [{"name": one} for one in self.dice.sample(self.students, self.dice.randrange(1, 3))]
            spec["students"] = [*spec.get("students", []), *picked]
        name = self.dice.choice(self.names)
        document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "Course", "metadata": {"name": name}, "spec": spec}
        path = f"{GROUP}/courses/{name}"
        known = self.api.find(path)
        if known is not None:
            document["metadata"]["resourceVersion"] = known["metadata"]["resourceVersion"]
        made = self.send("PUT", path, document) if known else self.send("POST", f"{GROUP}/courses", document)
        if made is None:
            return
        self.watch(made, document)
        if self.dice.random() < 0.05:
            self.api.delete(path)

    def watch(self, made, document):
        """Wait until the status is about what was written, and judge it."""
        status = self.wait(lambda: self.read_current(made["metadata"], made["kind"]), "a status of", document)
        if status is None:
            return
        self.seen[f"{document['kind']} {status['phase']} {status.get('reason', '')}".strip()] += 1
        if status.get("reason") == "Internal" or not status["message"] or TRACE in json.dumps(status):
            self.wrong.append(f"{json.dumps(status)}: {json.dumps(document)}")

    def read_current(self, metadata, kind):
        """Return the status once it is about this generation; the store has what the API server answered."""
        name = metadata["name"]
        store = self.store
        key = (metadata["namespace"], name) if kind == "WeekJob" else name
        found = (store.week_jobs if kind == "WeekJob" else store.courses).get(key)
        if found is None or found["metadata"]["uid"] != metadata["uid"]:
            return None
        status = found.get("status") or {}
        return status if status.get("observedGeneration") == metadata["generation"] else None

    def close(self):
        """Delete the courses, which other tests on this server would look at again and again."""
        for name in self.names:
            self.api.delete(f"{GROUP}/courses/{name}")

    def wait(self, look, what, document):
        deadline_s = time.monotonic() + PATIENCE_S
        while time.monotonic() < deadline_s:
            if found := look():
                return found
            time.sleep(0.02)
        self.wrong.append(f"never: {what} {json.dumps(document)}")
        return None


def read_counters():
    """Return how often a loop restarted, and how often the controller met a fault of its own."""
    restarts = sum(sample.value for metric in metrics.LOOP_RESTARTS.collect() for sample in metric.samples)
    return restarts, metrics.RECONCILE_FAULTS.labels("Internal")._value.get()


def test_mutated_objects_end_with_a_sentence_and_without_a_fault(server, tmp_path, student):
    stand = Stand(server, tmp_path, resync_s=5, queue_poll_s=5)
    course, log = f"llm-{uuid.uuid4().hex[:6]}", Log()
    pools = [[f"pupil-{uuid.uuid4().hex[:6]}-{number}" for _ in range(3)] for number in range(NUM_LANES)]
    lanes = [Lane(stand, number, pool, student) for number, pool in enumerate(pools)]

    async def body():
        before = read_counters()
        async with stand.controller() as controller:
            priorities = [{"name": "urgent", "value": 100}]
            quota = {"cpu": "64", "memory": "1Ti", "slices": 1000, "pods": 10_000, "weekJobs": 10_000}
            stand.make_course(course, [student], priorities=priorities, quota=quota, allowImages=True)
            await until(lambda: controller.store.get_course(student), "the course")
            with ThreadPoolExecutor(NUM_LANES) as pool:
                made = asyncio.get_running_loop().run_in_executor
                await asyncio.gather(
                    *(made(pool, lane.live, controller.store, NUM_OBJECTS // NUM_LANES) for lane in lanes)
                )
            # The series of the controller, drawn from all of it.
            metrics.set_phases(count_phases(list(controller.store.week_jobs.values())))
            metrics.set_progress(list_progress(list(controller.store.week_jobs.values())))
            # One more sweep and poll of the queues.
            await asyncio.sleep(6)
        wrong = [one for lane in lanes for one in lane.wrong] + log.faults
        if wrong:
            pytest.fail("\n".join(wrong), pytrace=False)
        assert read_counters() == before

    logger = logging.getLogger("practicum_controller")
    logger.addHandler(log)
    try:
        run(stand, body, 60 + NUM_OBJECTS)
    finally:
        logger.removeHandler(log)
        for lane in lanes:
            lane.close()
        server.api.delete(f"{GROUP}/courses/{course}")
    seen = sum((lane.seen for lane in lanes), Counter())
    LOGGER.info("%s", json.dumps({"seed": SEED, "objects": NUM_OBJECTS, **dict(sorted(seen.items()))}))
    # Mutants that are all refused, or all accepted and valid, would show nothing.
    assert seen["refused"] > NUM_OBJECTS // 10
    assert seen["WeekJob Failed ConfigInvalid"] > NUM_OBJECTS // 50
    assert seen["WeekJob Queued Queued"] > NUM_OBJECTS // 50
    assert seen["status forged"] > NUM_OBJECTS // 50
    assert seen["Course Ready"] > NUM_OBJECTS // 50
