"""The controller against a real API server: the life of a week job, reasons, restarts, suspension, courses."""

from __future__ import annotations

import asyncio
import subprocess
import uuid
from pathlib import Path

import pytest

from controller_stand import GROUP, PAGE, Stand, read_end, run, until
from faulty_cluster import FaultyCluster
from practicum_controller import client, endings
from practicum_controller.controller import get_now
from practicum_controller.kinds import WEEK_JOBS
from practicum_controller.owners import get_owner_uid
from practicum_core import labels
from practicum_core.course import MAX_ARCHIVED, MAX_STUDENTS
from practicum_core.curriculum import get_unit

pytestmark = pytest.mark.cluster
ROOT = Path(__file__).parents[2]
STEPS = [step.name for step in get_unit("experiments").steps]


@pytest.fixture
def course():
    return f"llm-{uuid.uuid4().hex[:6]}"


async def settle(controller):
    """Wait until the controller has nothing to do."""

    quiet = 0

    def is_quiet():
        nonlocal quiet
        quiet = 0 if len(controller.week_jobs) or len(controller.courses) else quiet + 1
        return quiet > 8

    await until(is_quiet, f"an idle controller: {controller.week_jobs} {controller.courses}", 30)


async def enrol(stand, controller, course, students, **spec):
    """Make a course and wait until its students' homes are there."""
    stand.make_course(course, students, **spec)
    await until(lambda: all(controller.store.get_course(one) for one in students), "the course")
    await settle(controller)


def test_a_week_job_lives_from_apply_to_evidence(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            await until(lambda: stand.get_status(student).get("phase") == "Queued", "the queue")
            await stand.live(student, STEPS)
            status = stand.get_status(student)
            assert (status["reason"], status["gatesPassed"], status["progress"]) == ("GatesPassed", "3/3", "100%")
            assert status["evidence"] == "configmap/week-01-evidence"
            kept = stand.server.api.get(f"/api/v1/namespaces/{student}/configmaps/week-01-evidence")
            assert kept["binaryData"]["index.html.gz"] == PAGE
            events = stand.server.api.get(f"/api/v1/namespaces/{student}/events")["items"]
            told = {event["reason"] for event in events if event["involvedObject"]["kind"] == "WeekJob"}
            assert {"Queued", "GatesPassed"} <= told
            await settle(controller)
            entry = stand.history.list_week_jobs(student)[0]
            assert (entry.phase, entry.course, entry.student) == ("Succeeded", course, student)
            assert stand.history.load_reports(with_ended=False) == {}

    run(stand, body)


def test_a_restart_writes_nothing_that_did_not_change(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            await until(lambda: stand.get_status(student).get("phase") == "Queued", "the queue")
            await settle(controller)
        counting = FaultyCluster(stand.cluster, -1, is_after=False)
        async with stand.controller(counting) as controller:
            await asyncio.sleep(0.5)
            await settle(controller)
        assert counting.calls == []

    run(stand, body)


class MeddledCluster:
    """A cluster where a student changes the week job just before its first status is written."""

    def __init__(self, cluster, meddle):
        self._cluster, self._meddle = cluster, meddle
        self.refused = []

    def __getattr__(self, name):
        return getattr(self._cluster, name)

    async def patch(self, resource, namespace, name, document, *, subresource=""):
        if resource is WEEK_JOBS and subresource and self._meddle is not None:
            meddle, self._meddle = self._meddle, None
            meddle()
        try:
            return await self._cluster.patch(resource, namespace, name, document, subresource=subresource)
        except client.ApiFault as fault:
            self.refused.append((fault.status, document["status"].get("phase")))
            raise


def test_a_status_of_an_older_specification_is_not_written(stand, student, course):
    async def body():
        suspension = {"spec": {"suspend": True}}
        meddled = MeddledCluster(
            stand.cluster,
            lambda: stand.server.api.patch(f"{GROUP}/namespaces/{student}/weekjobs/week-01", suspension),
        )
        async with stand.controller(meddled) as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            await until(lambda: stand.get_status(student).get("phase") == "Suspended", "the newer state")
            await settle(controller)
        assert meddled.refused == [(409, "Queued")]

    run(stand, body)


def test_reasons_reach_the_student(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            stand.make_week_job("default", "no-course")
            waits = await until(lambda: stand.get_status("default", "no-course"), "a status")
            assert (waits["phase"], waits["reason"]) == ("Queued", "CourseMissing")
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student, "bad", set={"evaluate.limt": 3})
            bad = await until(lambda: stand.get_status(student, "bad"), "a status")
            assert (bad["phase"], bad["reason"]) == ("Failed", "ConfigInvalid")
            assert "did you mean 'limit'?" in bad["message"]
            stand.make_course(course, [student], suspend=True)
            await until(lambda: controller.store.courses[course]["spec"].get("suspend"), "the pause")
            stand.make_week_job(student, "paused")
            paused = await until(lambda: stand.get_status(student, "paused"), "a status")
            assert paused["reason"] == "CourseSuspended"
            stand.make_course(course, [student], suspend=False)
            await until(lambda: stand.get_status(student, "paused")["reason"] == "Queued", "going on", 30)

    run(stand, body)


def test_a_week_job_waits_for_the_one_that_it_is_built_on(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            stand.make_week_job(student, "week-04", model={"uri": "latest:experiments"})
            waits = await until(lambda: stand.get_status(student, "week-04"), "a status")
            assert (waits["phase"], waits["reason"]) == ("Queued", "EarlierWeekUnfinished")
            assert "week-01" in waits["message"]
            await stand.live(student, STEPS)
            await until(lambda: stand.get_status(student, "week-04")["reason"] == "Queued", "going on", 30)

    run(stand, body)


def test_a_course_applied_at_once_waits_for_what_it_is_built_on(stand, student, course, kubectl):
    folder = ROOT / "manifests/course-10"
    weeks = [f"week-{number:02d}" for number in range(1, 11)]

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            command = [kubectl, "--kubeconfig", stand.server.kubeconfig, "apply", "-n", student]
            files = [option for week in weeks for option in ("-f", folder / f"{week}.yaml")]
            await asyncio.to_thread(subprocess.run, [*command, *files], check=True, stdout=subprocess.DEVNULL)
            await until(lambda: all("reason" in stand.get_status(student, week) for week in weeks), "ten statuses")
            told = {week: stand.get_status(student, week) for week in weeks}
        waiting = {week: one["message"] for week, one in told.items() if one["reason"] == "EarlierWeekUnfinished"}
        assert waiting.keys() == {"week-04", "week-05", "week-06", "week-10"}
        assert [week for week in weeks if week in waiting["week-05"]] == ["week-03", "week-04"]
        assert [week for week in weeks if week in waiting["week-10"]] == weeks[:8]
        assert {one["phase"] for one in told.values()} <= {"Queued", "Initializing"}, told

    run(stand, body)


def test_a_refusal_of_pods_reaches_the_student(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            job = await until(lambda: stand.find_job(student, STEPS[0]), "a job")
            stand.server.api.patch(stand.server.api.get_path(job), {"spec": {"suspend": False}})
            event = {
                "apiVersion": "v1",
                "kind": "Event",
                "metadata": {"name": "refused", "namespace": student},
                "involvedObject": {
                    "kind": "Job",
                    "name": job["metadata"]["name"],
                    "namespace": student,
                    "uid": job["metadata"]["uid"],
                },
                "type": "Warning",
                "reason": "FailedCreate",
                "message": "pods is forbidden: exceeded quota: practicum",
            }
            stand.server.api.create(event)
            await until(lambda: stand.get_status(student).get("reason") == "QuotaExceeded", "the reason")

    run(stand, body)


@pytest.mark.parametrize("reason", ["FailedMount", "FailedCreatePodSandBox", "FailedAttachVolume"])
def test_what_a_node_says_of_a_pod_reaches_the_student(stand, student, course, reason):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            job = await until(lambda: stand.find_job(student, STEPS[0]), "a job")
            stand.run_pod(job)
            name = f"{job['metadata']['name']}-0"
            path = f"/api/v1/namespaces/{student}/pods/{name}"
            waiting = {"name": "stage", "image": "x", "imageID": "", "ready": False, "restartCount": 0}
            waiting["state"] = {"waiting": {"reason": "ContainerCreating"}}
            status = {"phase": "Pending", "containerStatuses": [waiting]}
            stand.server.api.patch(f"{path}/status", {"status": status})
            pod = {
                "kind": "Pod",
                "name": name,
                "namespace": student,
                "uid": stand.server.api.get(path)["metadata"]["uid"],
            }
            event = {"apiVersion": "v1", "kind": "Event", "metadata": {"name": "told", "namespace": student}}
            event |= {"involvedObject": pod, "type": "Warning", "reason": reason, "message": "it times out"}
            stand.server.api.create(event)
            said = f"{reason}: it times out"
            await until(lambda: said in stand.get_status(student).get("message", ""), said)
            # Once the pod runs, what was said before is over.
            running = waiting | {"ready": True, "state": {"running": {"startedAt": "2026-01-02T03:04:05Z"}}}
            status = {"phase": "Running", "containerStatuses": [running]}
            stand.server.api.patch(f"{path}/status", {"status": status})
            await until(lambda: stand.get_status(student).get("phase") == "Running", "the run")

    run(stand, body)


def test_a_claim_that_is_gone_is_made_anew(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            job = await until(lambda: stand.find_job(student, STEPS[0]), "a job")
            stand.run_pod(job)
            claim = f"/api/v1/namespaces/{student}/persistentvolumeclaims/workspace"
            stand.server.api.patch(claim, {"metadata": {"finalizers": None}})
            stand.server.api.delete(claim)
            assert stand.server.api.find(claim) is None
            said = 'persistentvolumeclaim "workspace" not found'
            lacking = {"type": "PodScheduled", "status": "False", "reason": "Unschedulable", "message": said}
            status = {"phase": "Pending", "conditions": [lacking], "containerStatuses": None}
            path = f"/api/v1/namespaces/{student}/pods/{job['metadata']['name']}-0/status"
            stand.server.api.patch(path, {"status": status})
            await until(lambda: said in stand.get_status(student).get("message", ""), said)
            controller.courses.add(course)
            await until(lambda: stand.server.api.find(claim), "the claim")

    run(stand, body)


def test_a_list_of_many_pages_is_read_whole(stand, monkeypatch):
    monkeypatch.setattr(client, "_LIST_PAGE", 2)
    names = {f"week-{number:02d}" for number in range(1, 6)}
    for name in names:
        stand.make_week_job("default", name)

    async def body():
        async with stand.controller() as controller:
            assert names <= {name for namespace, name in controller.store.week_jobs if namespace == "default"}

    run(stand, body)
    for name in names:
        stand.server.api.request("DELETE", f"{GROUP}/namespaces/default/weekjobs/{name}")


async def until_dead(faulty, task):
    """Wait until the controller was killed, or the task ended."""
    dying = asyncio.create_task(faulty.is_tripped.wait())
    await asyncio.wait([task, dying], return_when=asyncio.FIRST_COMPLETED)
    dying.cancel()


async def live_with_a_kill(stand, student, at, *, is_after):
    """Live a week job's life; the controller is killed at its N-th change and another one takes over."""
    faulty = FaultyCluster(stand.cluster, at, is_after=is_after, namespace=student)
    stand.make_week_job(student)
    async with stand.controller(faulty) as controller:
        living = asyncio.create_task(stand.live(student, STEPS))
        await until_dead(faulty, living)
        settling = asyncio.create_task(settle(controller))
        await until_dead(faulty, settling)
        settling.cancel()
    async with stand.controller() as controller:
        await living
        await settle(controller)
    return read_end(stand, student), faulty


def test_a_kill_at_any_change_ends_the_same(stand, course):
    students = [f"student-{uuid.uuid4().hex[:6]}" for _ in range(100)]

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, students)
        left = iter(students)
        expected, faulty = await live_with_a_kill(stand, next(left), -1, is_after=False)
        changes = faulty.calls
        assert {"make jobs", "patch weekjobs", "make events"} <= set(changes)
        assert expected["jobs"] == sorted(f"week-01-{step}-1" for step in STEPS)
        kills = 0
        for at in range(1, len(changes) + 1):
            for is_after in (False, True):
                student = next(left)
                seen, faulty = await live_with_a_kill(stand, student, at, is_after=is_after)
                assert seen == expected, (at, is_after, faulty.calls)
                kills += faulty.is_tripped.is_set()
        # A life may need a change less where two states were seen as one; nearly every kill must have happened.
        assert kills >= 2 * len(changes) - 6

    run(stand, body, 400)


def test_a_kill_while_a_gpu_is_accounted_for_and_given_back(stand, course):
    """The life of the finalizer: it holds the week job until its account is closed, and never longer."""
    students = [f"student-{uuid.uuid4().hex[:6]}" for _ in range(24)]
    spec = {"unit": "sft", "resources": {"gpu": {"slices": 1}}}

    async def die_and_delete(student, at, *, is_after):
        faulty = FaultyCluster(stand.cluster, at, is_after=is_after, namespace=student)
        made = stand.make_week_job(student, **spec)
        uid = made["metadata"]["uid"]

        async def live():
            for step in ("model", "snapshot", "sft"):
                job = await until(lambda step=step: stand.find_job(student, step), f"a job of {step}")
                stand.run_pod(job)
                if step != "sft":
                    await stand.report(uid, step)
                    stand.end_pod(student, job["metadata"]["name"])
            await until(lambda: stand.history.list_usage(student, get_now()), "an account")
            stand.server.api.delete(f"/apis/practicum.dev/v1alpha1/namespaces/{student}/weekjobs/week-01")
            await until(lambda: stand.get(student) is None, "the end of the week job")

        async with stand.controller(faulty):
            living = asyncio.create_task(live())
            await until_dead(faulty, living)
        async with stand.controller() as controller:
            await living
            await settle(controller)
        usages = stand.history.list_usage(student, get_now().replace(year=2000))
        assert [usage.ended_at is not None for usage in usages] == [True]
        return faulty

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, students, queue={"slices": 4})
        left = iter(students)
        changes = (await die_and_delete(next(left), -1, is_after=False)).calls
        begin = changes.index("patch weekjobs", changes.index("make rayjobs") - 2)
        for at in [*range(begin, begin + 6), len(changes)]:
            for is_after in (False, True):
                await die_and_delete(next(left), at, is_after=is_after)

    run(stand, body, 300)


def test_suspend_stops_the_stage_and_resume_goes_on(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            uid = stand.make_week_job(student)["metadata"]["uid"]
            job = await until(lambda: stand.find_job(student, "model"), "a job")
            stand.run_pod(job)
            await stand.report(uid, "model", outcome="running", progress=0.5)
            await until(lambda: stand.get_status(student).get("phase") == "Running", "running")
            stand.make_week_job(student, suspend=True)
            await until(lambda: not stand.list_jobs(student), "the stop")
            await until(lambda: stand.get_status(student)["phase"] == "Suspended", "the state")
            assert stand.get_status(student)["reason"] == "Stopped"
            # Its pod still writes a checkpoint: nothing else may write into the run directory.
            stand.make_week_job(student, suspend=False)
            await until(lambda: stand.get_status(student)["reason"] == "StageStarting", "waiting for the pod")
            assert "still ends" in stand.get_status(student)["message"]
            assert not stand.list_jobs(student)
            stand.collect_garbage(student)
            again = await until(lambda: stand.find_job(student, "model"), "a second try")
            assert again["metadata"]["name"] == "week-01-model-2"
            stand.run_pod(again)
            await stand.report(uid, "model", attempt=2)
            stand.end_pod(student, "week-01-model-2")
            await stand.live(student, STEPS[1:])
            stages = stand.get_status(student)["stages"]
            assert [stage["attempt"] for stage in stages] == [2, 1, 1, 1]
            assert [stage.get("resumes") for stage in stages] == [1, None, None, None]

    run(stand, body)


def test_a_used_up_budget_stops_a_run_which_goes_on_when_it_is_raised(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            # A hundredth of a second of a GPU: used up as soon as the step runs.
            budget = {"gpuHoursPerWeek": 0.01 / 3600}
            await enrol(stand, controller, course, [student], queue={"slices": 1}, budget=budget)
            uid = stand.make_week_job(student, unit="sft", resources={"gpu": {"slices": 1}})["metadata"]["uid"]
            for step in ("model", "snapshot"):
                stand.run_pod(await until(lambda step=step: stand.find_job(student, step), f"a job of {step}"))
                await stand.report(uid, step)
                stand.end_pod(student, f"week-01-{step}-1")
            stand.run_pod(await until(lambda: stand.find_job(student, "sft"), "a job of sft"))
            await stand.report(uid, "sft", outcome="running", progress=0.5)
            await until(lambda: not stand.find_job(student, "sft"), "the stop")
            await until(lambda: stand.get_status(student).get("reason") == "BudgetExceeded", "the reason")
            assert stand.get_status(student)["phase"] == "Queued"
            stand.collect_garbage(student)
            stand.make_course(course, [student], queue={"slices": 1}, budget={"gpuHoursPerWeek": 1000})
            again = await until(lambda: stand.find_job(student, "sft"), "a second try")
            assert again["metadata"]["name"] == "week-01-sft-2"
            await settle(controller)
            stages = {stage["name"]: stage for stage in stand.get_status(student)["stages"]}
            assert (stages["sft"]["attempt"], stages["sft"]["resumes"]) == (2, 1)

    run(stand, body)


def test_a_stage_suspended_before_it_reported_starts_once_more(stand, student, course):
    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student)
            first = await until(lambda: stand.find_job(student, "model"), "a job")
            stand.make_week_job(student, suspend=True)
            await until(lambda: stand.get_status(student).get("phase") == "Suspended", "the stop")
            await until(lambda: not stand.list_jobs(student), "no job")
            stand.make_week_job(student, suspend=False)
            second = await until(lambda: stand.find_job(student, "model"), "a job")
            assert second["metadata"]["uid"] != first["metadata"]["uid"]
            await stand.live(student, STEPS)

    run(stand, body)


def test_a_student_who_left_is_archived_and_keeps_the_data(stand, student, course):
    other = f"{student}-b"

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student, other])
            home = f"/api/v1/namespaces/{student}"
            claim = f"{home}/persistentvolumeclaims/workspace"
            stand.make_week_job(student)
            await until(lambda: stand.find_job(student, "model"), "a job")
            stand.make_course(course, [other])

            def is_archived(name=student):
                return labels.ARCHIVED in stand.server.api.get(f"/api/v1/namespaces/{name}")["metadata"]["labels"]

            await until(is_archived, "the archive")
            queue_name = labels.build_queue_name(course, student)
            queue = f"/apis/kueue.x-k8s.io/v1beta2/namespaces/{student}/localqueues/{queue_name}"
            binding = f"/apis/rbac.authorization.k8s.io/v1/namespaces/{student}/rolebindings/practicum-student"
            assert stand.server.api.get(claim)["metadata"].get("deletionTimestamp") is None
            assert stand.server.api.get(queue)["spec"]["stopPolicy"] == "HoldAndDrain"
            assert stand.server.api.find(binding) is None
            await until(lambda: stand.get_status(student).get("reason") == "CourseMissing", "the reason")
            await until(lambda: not stand.list_jobs(student), "no job")
            assert not is_archived(other)

            def read_roster():
                rows = stand.server.api.get(f"/apis/practicum.dev/v1alpha1/courses/{course}")["status"]["students"]
                return {row["name"]: row.get("isArchived", False) for row in rows}

            await until(lambda: read_roster() == {other: False, student: True}, "the roster")
            # Coming back opens the home again, with the same volume.
            before = stand.server.api.get(claim)["metadata"]["uid"]
            stand.make_course(course, [student, other])
            await until(lambda: not is_archived(), "the return")
            await until(lambda: stand.server.api.find(binding), "the rights")
            await until(lambda: stand.find_job(student, "model"), "a job again")
            await until(lambda: stand.server.api.get(queue)["spec"]["stopPolicy"] == "None", "the queue")
            assert stand.server.api.get(claim)["metadata"]["uid"] == before

    run(stand, body)


def test_a_student_who_moves_to_another_namespace_is_listed_in_both(stand, student, course):
    path = f"/apis/practicum.dev/v1alpha1/courses/{course}"
    document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "Course", "metadata": {"name": course}}

    def read_roster():
        rows = stand.server.api.get(path).get("status", {}).get("students", ())
        return {row["namespace"]: (row["name"], row.get("isArchived", False)) for row in rows}

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            new = f"{student}-b"
            spec = {"students": [{"name": student, "namespace": new}]}
            stand.apply(document | {"spec": spec})
            both = {student: (student, True), new: (student, False)}
            await until(lambda: read_roster() == both, "both namespaces")
            assert stand.server.api.get(path)["status"]["numArchived"] == 1
            # A course of that name that is made anew takes over what is there.
            stand.server.api.delete(path)
            await until(lambda: course not in controller.store.courses, "no course")
            stand.apply(document | {"spec": spec})
            await until(lambda: read_roster() == both, "both again")

    run(stand, body)


def test_a_full_roster_and_those_who_left_fit_into_a_status(stand, course):
    home = f"n{'x' * 34}"
    document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "Course", "metadata": {"name": course}}
    stand.apply(document | {"spec": {"students": []}})
    names = [f"{home}{number:05d}" for number in range(MAX_STUDENTS + MAX_ARCHIVED)]
    rows = [{"name": name, "namespace": name, "gpuHours": 12.34, "gpuHoursLeft": 12.34} for name in names]
    path = f"/apis/practicum.dev/v1alpha1/courses/{course}"
    roster = {"students": [{"name": name, "subjects": [f"{name}@school.example"]} for name in names[:MAX_STUDENTS]]}
    stand.server.api.patch(path, {"spec": roster})
    stand.server.api.patch(f"{path}/status", {"status": {"students": rows}})
    assert len(stand.server.api.get(path)["status"]["students"]) == len(names)
    stand.server.api.delete(path)


def test_what_somebody_edits_by_hand_is_put_right(stand, student, course):
    api = stand.server.api
    home = f"/apis/networking.k8s.io/v1/namespaces/{student}/networkpolicies"
    queue = f"/apis/kueue.x-k8s.io/v1beta2/clusterqueues/practicum-{course}"
    quota = f"/api/v1/namespaces/{student}/resourcequotas/practicum"
    untouched = (f"/api/v1/namespaces/{student}", f"{home}/practicum-home", quota)

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            before = {path: api.get(path)["metadata"]["resourceVersion"] for path in untouched}
            api.delete(f"{home}/practicum-deny")
            api.patch(queue, {"spec": {"stopPolicy": "HoldAndDrain"}})
            controller.courses.add(course)
            await until(lambda: api.find(f"{home}/practicum-deny"), "the policy")
            await until(lambda: api.get(queue)["spec"]["stopPolicy"] == "None", "the queue")
            await settle(controller)
            assert {path: api.get(path)["metadata"]["resourceVersion"] for path in untouched} == before

    run(stand, body)


def test_a_renewed_authority_reaches_the_homes(stand, student, course):
    path = f"/api/v1/namespaces/{student}/configmaps/practicum-ingest-ca"

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            assert stand.server.api.get(path)["data"] == {"ca.crt": "authority"}
            stand.authority = "renewed"
            controller.courses.add(course)
            await until(lambda: stand.server.api.get(path)["data"] == {"ca.crt": "renewed"}, "the new authority")

    run(stand, body)


def test_a_week_with_no_time_to_live_is_kept_until_its_follower_has_seen_the_end(stand, student, course, monkeypatch):
    monkeypatch.setattr(endings, "SHORTEST_TIME_TO_LIVE_S", 4.0)
    page = f"/api/v1/namespaces/{student}/configmaps/week-01-evidence"

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            stand.make_week_job(student, ttlSecondsAfterFinished=0)
            await stand.live(student, STEPS)
            await asyncio.sleep(1.5)
            assert stand.get_status(student)["phase"] == "Succeeded"
            assert stand.server.api.find(page)
            await until(lambda: stand.get(student) is None, "the deletion")

    run(stand, body)


def test_a_week_applied_again_at_once_waits_for_the_end_of_the_earlier_ones_job(server, tmp_path, student, course):
    # A sweep stands for the garbage collector, which is not here.
    stand = Stand(server, tmp_path, resync_s=3)
    path = f"/apis/practicum.dev/v1alpha1/namespaces/{student}/weekjobs/week-01"

    def read_owner():
        job = stand.find_job(student, "model")
        return job and get_owner_uid(job)

    async def body():
        async with stand.controller() as controller:
            await enrol(stand, controller, course, [student])
            earlier = stand.make_week_job(student)["metadata"]["uid"]
            await until(lambda: read_owner() == earlier, "a job")
            server.api.delete(path)
            later = stand.make_week_job(student)["metadata"]["uid"]
            told = "belongs to another owner"
            await until(lambda: told in stand.get_status(student).get("message", ""), told)
            assert stand.get_status(student)["phase"] != "Failed"
            await until(lambda: read_owner() == later, "a job of its own")
            await until(lambda: told not in stand.get_status(student)["message"], "the queue")

    run(stand, body)
