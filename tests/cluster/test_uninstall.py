"""The finalizer of week jobs that use GPUs: gone at their end, and by the documented commands without a controller."""

from __future__ import annotations

import os
import re
import subprocess
import uuid
from pathlib import Path

import pytest

from controller_stand import GROUP, run, until
from practicum_core import labels
from practicum_core.curriculum import get_unit

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
SPEC = {"unit": "sft", "resources": {"gpu": {"slices": 1}}}


def is_held(stand, student):
    return labels.FINALIZER in stand.get(student)["metadata"].get("finalizers", ())


def read_commands(page):
    text = (ROOT / "docs" / page).read_text(encoding="utf-8")
    (block,) = [block for block in re.findall(r"```sh\n(.*?)```", text, re.DOTALL) if "HELD=" in block]
    return block


@pytest.mark.parametrize("page", ["operations.md", "operations.zh-CN.md"])
def test_a_week_job_is_held_until_its_account_is_closed_or_somebody_lets_it_go(stand, kubectl, page):
    student, other, course = (f"{word}-{uuid.uuid4().hex[:6]}" for word in ("student", "student", "llm"))

    async def body():
        async with stand.controller():
            stand.make_course(course, [student, other], queue={"slices": 4})
            path = f"{GROUP}/courses/{course}"
            await until(lambda: stand.server.api.get(path).get("status", {}).get("phase") == "Ready", "the course")
            stand.make_week_job(student, **SPEC)
            stand.make_week_job(other, **SPEC)
            steps = [step.name for step in get_unit("sft").steps]
            uid = stand.get(other)["metadata"]["uid"]
            for step in ("model", "snapshot", "sft"):
                job = await until(lambda step=step: stand.find_job(other, step), f"a job of {step}")
                stand.run_pod(job)
                if step != "sft":
                    await stand.report(uid, step)
                    stand.end_pod(other, job["metadata"]["name"])
            await until(lambda: is_held(stand, other), "the finalizer")
            await stand.live(student, steps)
            await until(lambda: not is_held(stand, student), "the release of a week job that ended")
        # The controller is gone, and one week job is under way.
        for namespace in (student, other):
            stand.server.api.delete(f"{GROUP}/namespaces/{namespace}/weekjobs/week-01")
        assert stand.get(student) is None
        assert is_held(stand, other)
        path = f"{kubectl.parent}{os.pathsep}{os.environ['PATH']}"
        environment = {**os.environ, "PATH": path, "KUBECONFIG": str(stand.server.kubeconfig)}
        command = ["bash", "-euo", "pipefail", "-c", read_commands(page)]
        told = subprocess.run(command, env=environment, capture_output=True, text=True, check=False)  # noqa: ASYNC221 - nothing else runs
        assert told.returncode == 0, told.stderr
        assert f"{other} week-01" in told.stdout
        assert stand.get(other) is None

    run(stand, body)
