"""The controller's real process gets SIGKILL in the middle of a week job's life; the next process ends the life.

``test_controller.py`` stops tasks at every change, before it and after it; here it is the kernel that ends a process,
with its threads, connections and database file, at every fifth change: before one, after the next.
"""

from __future__ import annotations

import asyncio
import contextlib
import http.client
import signal
import uuid
from http import HTTPStatus

import pytest

import fatal_controller
from controller_process import NAMESPACE, Replica, request_token, write_certificate
from controller_stand import METRICS, PAGE, Stand, install_operators, read_end, until
from practicum_cluster.api import ApiError
from practicum_controller.backends.pods import SERVICE_ACCOUNT
from practicum_core import labels
from practicum_core.curriculum import get_unit

pytestmark = pytest.mark.cluster
STEPS = [step.name for step in get_unit("experiments").steps]
WAIT_S = 240.0
# Starting a process takes seconds: every fifth change, which the other test does not leave out.
_EVERY = 5


class Hands(Stand):
    """Play the rest of the cluster for a controller that is a process of its own."""

    # Nobody promises how soon, where processes die.
    patience_s = WAIT_S

    def __init__(self, server, folder):
        super().__init__(server, folder)
        self.replica, self._folder = None, folder
        write_certificate(folder)

    def start(self, student="none", at=-1, moment="before"):
        """Start the process that dies at a change in the home of ``student``."""
        variables = {
            "PRACTICUM_LEADER_ELECTION": "false",
            "PRACTICUM_TEST_FAULT": f"{student}:{at}:{moment}",
            "PRACTICUM_TEST_CALLS": self.get_calls(student),
        }
        program = [fatal_controller.__file__]
        self.replica = Replica(self.server, self._folder, self._folder / "history.sqlite", program, **variables)
        self.replica.wait("leading", 60)

    def get_calls(self, student):
        return self._folder / f"{student}.calls"

    def list_changes(self, student):
        """Return what the process that dies, or would, changed in a home."""
        return self.get_calls(student).read_text(encoding="ascii").splitlines()

    def end(self):
        if self.replica is not None and self.replica.process.poll() is None:
            self.replica.process.kill()
            self.replica.process.wait()

    async def report(self, uid, step, attempt=1, outcome="succeeded", **rest):
        """Send the report with the pod's token until a controller takes it."""
        pod = self._find_pod(uid, step)
        report = {"uid": uid, "step": step, "attempt": attempt, "outcome": outcome, **rest}
        report["metrics"] = [one.model_dump(mode="json") for one in METRICS.get(step, [])]
        if step == "report":
            report["evidence_html"] = PAGE

        token = request_token(self.server.api, pod["namespace"], {"name": pod["name"], "uid": pod["uid"]})

        def send():
            with contextlib.suppress(OSError, http.client.HTTPException):
                return self.replica.report(token, report)[0] == HTTPStatus.OK
            return False

        await until(send, f"a controller that takes the report of {step}", WAIT_S, 0.3)

    def _find_pod(self, uid, step):
        query = f"labelSelector={labels.WEEK_JOB_UID}={uid},{labels.STEP}={step}"
        return self.server.api.get(f"/api/v1/pods?{query}")["items"][0]["metadata"]


@pytest.fixture
def hands(api_server, tmp_path):
    install_operators(api_server)
    api_server.api.apply({"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": NAMESPACE}})
    made = Hands(api_server, tmp_path)
    yield made
    made.end()


async def live_until_killed(hands, student):
    """Begin a life and return it; back when the process is dead, or the life at its end needed no such change."""
    hands.make_week_job(student)
    life = asyncio.create_task(hands.live(student, STEPS))
    quiet = 0
    while hands.replica.process.poll() is None and quiet < 20:
        await asyncio.sleep(0.1)
        quiet += life.done()
    return life


@pytest.mark.timeout(900)
def test_a_process_that_is_killed_leaves_the_same_end(hands):
    students = [f"student-{uuid.uuid4().hex[:6]}" for _ in range(16)]

    async def body():
        hands.start()
        hands.make_course(f"llm-{uuid.uuid4().hex[:6]}", students)
        accounts = f"/api/v1/namespaces/{{}}/serviceaccounts/{SERVICE_ACCOUNT}"
        await until(lambda: all(hands.server.api.find(accounts.format(one)) for one in students), "the homes", WAIT_S)
        hands.replica.stop()
        left = iter(students)
        first = next(left)
        hands.start(first)
        await (await live_until_killed(hands, first))
        expected = await until(lambda: read_complete(hands, first), "the end of an undisturbed life", WAIT_S)
        changes = hands.list_changes(first)
        assert {"make jobs", "patch weekjobs", "make events"} <= set(changes)
        hands.replica.stop()
        lives, kills = {}, 0
        chosen = range(1, len(changes) + 1, _EVERY)
        for at in chosen:
            student = next(left)
            await asyncio.to_thread(hands.start, student, at, "after" if at // _EVERY % 2 else "before")
            lives[student] = await live_until_killed(hands, student)
            kills += hands.replica.process.poll() == -signal.SIGKILL
            hands.end()
        await asyncio.to_thread(hands.start)
        for student, life in lives.items():
            await life
            await until(lambda student=student: read_complete(hands, student), f"the end of {student}", WAIT_S)
            assert read_end(hands, student) == expected, hands.list_changes(student)
        # A life may need a change less where two states were seen as one.
        assert kills >= len(chosen) - 3

    asyncio.run(asyncio.wait_for(body(), 800))


def read_complete(hands, student):
    """Return what a life left behind once the history says that it ended."""
    with contextlib.suppress(ApiError, KeyError):
        end = read_end(hands, student)
        if end["status"]["phase"] == "Succeeded" and [phase for _, phase in end["history"]] == ["Succeeded"]:
            return end
    return None
