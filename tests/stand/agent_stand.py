"""A pod as a process: the real agent with its variables, and the controller's own ingest, which takes its reports.

The API server is played: which pod a token belongs to, and what that pod runs.
"""

from __future__ import annotations

import asyncio
import contextlib
import datetime as dt
import json
import os
import subprocess
import sys
import threading
import time
from pathlib import Path

from aiohttp import web

from practicum_controller.database import Database
from practicum_controller.history import History
from practicum_controller.ingest import Certificate, Ingest
from practicum_controller.leader import Standing
from practicum_controller.tokens import TokenReviewer
from practicum_core import labels
from practicum_core.layout import RunLayout
from practicum_core.reports import INGEST_AUDIENCE, PodStep
from practicum_core.resolve import resolve_steps
from practicum_core.weekjob import Metadata, WeekJob, WeekJobSpec

ROOT = Path(__file__).parents[2]
STAGE_PROGRAM = ROOT / "tests/unit/cli/stage_program.py"
DRIVER = ROOT / "tests/unit/agent/agent_driver.py"
UID = "a1b2c3d4-0000-4000-8000-000000000001"
CREATED_AT = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)


def wait_for(condition, timeout_s=20.0):
    """Wait until a condition holds and return its value."""
    deadline_s = time.monotonic() + timeout_s
    while not (value := condition()):
        assert time.monotonic() < deadline_s, "waited in vain"
        time.sleep(0.02)
    return value


class IngestServer:
    """The controller's ingest over TLS on loopback, with a history in SQLite.

    ``requests`` counts reports of ends. Each takes one of ``faults`` before it is served as usual: ``cut`` breaks the
    connection in the first bytes of the answer, ``taken`` after the report is in the history, a number is a status.
    Without ``counts`` nothing stands before the ingest, and nothing is counted.
    """

    def __init__(self, tls, database, port=0, *, counts=True):
        self.tls, self.port, self._counts = tls, port, counts
        self.history = History(Database(f"sqlite:///{database}"))
        self.pods = {}
        self.faults = []
        self.requests = 0
        self.told = []
        self._loop = asyncio.new_event_loop()
        self._thread = threading.Thread(target=self._loop.run_forever)
        self._runner = None

    def __enter__(self):
        self._thread.start()
        self._run(self._start())
        return self

    def __exit__(self, *_):
        self._run(self._runner.cleanup())
        self._loop.call_soon_threadsafe(self._loop.stop)
        self._thread.join()
        self._loop.close()

    def _run(self, work):
        return asyncio.run_coroutine_threadsafe(work, self._loop).result(20)

    async def _start(self):
        def save(report):
            return self.history.save_report(report, dt.datetime.now(dt.UTC))

        reviewer = TokenReviewer(self._review, time.monotonic)
        ingest = Ingest(
            reviewer, self._find_pod, save, self.told.append, lambda: Standing.LEADING, lambda: time.monotonic() * 100
        )
        app = ingest.build_app()
        app.middlewares.insert(0, self._break)
        self._runner = web.AppRunner(app, access_log=None)
        await self._runner.setup()
        site = web.TCPSite(self._runner, "127.0.0.1", self.port, ssl_context=Certificate(self.tls).context)
        await site.start()
        self.port = self._runner.addresses[0][1]

    async def _review(self, document):
        token = document["spec"]["token"]
        extra = {f"authentication.kubernetes.io/pod-{key}": [token] for key in ("name", "uid")}
        user = {"username": "system:serviceaccount:student-01:practicum-stage", "extra": extra}
        return {"status": {"authenticated": True, "audiences": [INGEST_AUDIENCE], "user": user}}

    def _find_pod(self, namespace, name, uid):
        marks = self.pods.get(name)
        return {"metadata": {"labels": marks}} if marks else None

    @web.middleware
    async def _break(self, request, handler):
        if not self._counts or b'"outcome":"running"' in await request.read():
            return await handler(request)
        self.requests += 1
        fault = self.faults.pop(0) if self.faults else None
        if isinstance(fault, int):
            return web.json_response({"error": "no"}, status=fault)
        if fault is None:
            return await handler(request)
        if fault == "taken":
            await handler(request)
        else:
            request.transport.write(b"HTTP/1.1 20")
        request.transport.close()
        return web.Response()

    @property
    def finals(self):
        """The reports of ends that were taken, in their order."""
        return [report for report in self.told if report.is_final]


def build_step(step="model", attempt=1, **spec):
    """Return what a pod is told, as the controller builds it."""
    weekjob = WeekJob(
        metadata=Metadata(name="week-01", namespace="student-01"),
        spec=WeekJobSpec(**({"unit": "experiments", "profile": "quick"} | spec)),
    )
    found = next(one for one in resolve_steps(weekjob) if one.name == step)
    return PodStep(
        weekjob=weekjob,
        uid=UID,
        created_at=CREATED_AT,
        step=step,
        stage=found.stage,
        attempt=attempt,
        config=found.config.model_dump(mode="json"),
    )


class Workplace:
    """What the pods of one student share: the workspace and the ingest; and what each has for itself.

    Attributes:
        workspace: Stands for the claim.
        server: Takes the reports.
        variables: Of the pod that was started last.
    """

    def __init__(self, folder, server):
        self.folder, self.server = folder, server
        self.workspace = folder / "workspace"
        self.workspace.mkdir()
        self.experiments = self.workspace / "experiments"
        self.processes = []
        self.variables = {}

    @property
    def run(self):
        """The run directory."""
        return RunLayout(self.experiments / "experiments" / build_step().run_id)

    def build_variables(self, step, **variables):
        """Return the variables of a pod; each has a token and a temporary folder of its own."""
        token = f"{step.step}-{step.attempt}-{len(self.processes)}"
        own = self.folder / token
        (own / "tmp").mkdir(parents=True)
        (own / "token").write_text(f"{token}\n")
        (own / "ca.crt").write_bytes((self.server.tls / "ca.crt").read_bytes())
        unit = step.weekjob.spec.unit
        self.server.pods[token] = labels.build_child_labels("week-01", step.uid, unit, step.step, step.attempt)
        settings = {
            "PRACTICUM_STEP": step.model_dump_json(),
            "PRACTICUM_INGEST_URL": f"https://localhost:{self.server.port}",
            "PRACTICUM_CREDENTIALS": own,
            "PRACTICUM_EXPERIMENTS": self.experiments,
            "PRACTICUM_CACHE": self.workspace / ".cache",
            "PRACTICUM_TEST_PROGRAM": STAGE_PROGRAM,
            "HOME": own / "tmp",
            "TMPDIR": own / "tmp",
        }
        return os.environ | {key: str(value) for key, value in (settings | variables).items()}

    def start(self, step=None, behaviour="ok", *, waits=None, program=(str(DRIVER),), **variables):
        """Start a pod's agent.

        Args:
            step: What it is told.
            behaviour: Of the stage program.
            waits: Shorter ones than the agent's own, by name.
            program: What runs; the agent with the stage program of the tests.
            variables: On top of the pod's own.
        """
        step = step or build_step()
        test = {
            "PRACTICUM_TEST_BEHAVIOUR": json.dumps({step.step: behaviour}),
            "PRACTICUM_TEST_WAITS": json.dumps(waits or {}),
        }
        self.variables = self.build_variables(step, **(test | variables))
        process = subprocess.Popen(
            [sys.executable, *program],
            env=self.variables,
            stdout=subprocess.PIPE,
            stderr=subprocess.PIPE,
            text=True,
        )
        self.processes.append(process)
        return process

    def finish(self, *arguments, **options):
        """Start a pod's agent, wait for its end, and return its exit code with what it said."""
        process = self.start(*arguments, **options)
        said = "".join(process.communicate(timeout=60))
        return process.returncode, said

    def wait_until_ready(self, step="model"):
        """Wait until the stage has taken up its work, and return its process id."""
        layout = self.run.stage(step)
        wait_for((layout.root / "ready").exists)
        wait_for(layout.child.exists)
        return json.loads(layout.child.read_text())["pid"]

    def count_starts(self, step="model"):
        """Count how often the stage program was started."""
        path = self.run.stage(step).root / "starts.txt"
        return len(path.read_text().splitlines()) if path.exists() else 0

    def read_events(self):
        """Return the run's events."""
        return [json.loads(line) for line in self.run.events.read_text().splitlines()]

    def close(self):
        """End what still runs."""
        for process in self.processes:
            if process.poll() is None:
                process.kill()
            with contextlib.suppress(ValueError):
                process.communicate(timeout=10)
