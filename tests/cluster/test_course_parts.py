"""The parts of a course against a real API server: volumes that exist, priorities, and parts that are refused."""

from __future__ import annotations

import json
import subprocess
import uuid

import pytest

from controller_stand import run, until
from practicum_controller.course.reconcile import APPLIED_HASH
from practicum_core import labels

pytestmark = pytest.mark.cluster
KUEUE = "/apis/kueue.x-k8s.io/v1beta2"
EXPANDABLE = {
    "apiVersion": "storage.k8s.io/v1",
    "kind": "StorageClass",
    "metadata": {"name": "expandable"},
    "provisioner": "example.org/none",
    "allowVolumeExpansion": True,
}


@pytest.fixture
def mark(server):
    """A part of the names of a test. Its courses go when it ends: a refused one would be tried again in other tests."""
    mark = f"s{uuid.uuid4().hex[:5]}"
    yield mark
    courses = "/apis/practicum.dev/v1alpha1/courses"
    for course in server.api.get(courses)["items"]:
        if mark in course["metadata"]["name"]:
            server.api.delete(f"{courses}/{course['metadata']['name']}")


def read_course(stand, name):
    return stand.server.api.get(f"/apis/practicum.dev/v1alpha1/courses/{name}").get("status") or {}


async def see(stand, course, phase, *words):
    """Wait until a course's status has a phase and words."""

    def look():
        status = read_course(stand, course)
        return status.get("phase") == phase and all(word in status["message"] for word in words)

    try:
        await until(look, f"{phase} {words}")
    except pytest.fail.Exception:
        pytest.fail(f"never {phase} {words}: {read_course(stand, course)}")


def test_a_volume_is_made_once_and_the_rest_of_the_course_follows(stand, mark):
    api, (old, new), course = stand.server.api, (f"student-{mark}a", f"student-{mark}b"), f"llm-{mark}"
    claim = "/api/v1/namespaces/{}/persistentvolumeclaims/workspace".format

    async def body():
        async with stand.controller() as controller:
            stand.make_course(course, [old], workspace={"size": "1Gi"})
            await see(stand, course, "Ready", "1 students")
            # As the table of troubles advises; a quota in the same edit shows that what follows the volume is applied.
            wanted = {"size": "2Gi", "accessMode": "ReadWriteOnce"}
            stand.make_course(course, [old, new], workspace=wanted, quota={"pods": 7})
            await see(stand, course, "Ready", "keep accessMode ReadWriteMany, size 1Gi", f"(namespaces {old})")
            assert api.get(f"/api/v1/namespaces/{old}/resourcequotas/practicum")["spec"]["hard"]["pods"] == "7"
            assert api.find(f"{KUEUE}/namespaces/{old}/localqueues/{labels.build_queue_name(course, old)}")
            assert api.get(claim(new))["spec"]["accessModes"] == ["ReadWriteOnce"]
            # Followed: deleted by hand, it is made as the course says now.
            api.patch(claim(old), {"metadata": {"finalizers": None}})
            api.delete(claim(old))
            controller.courses.add(course)
            await until(
                lambda: (api.find(claim(old)) or {}).get("spec", {}).get("accessModes") == ["ReadWriteOnce"], "it"
            )
            await until(lambda: "keep" not in read_course(stand, course)["message"], "no sentence any more")

    run(stand, body)


def test_a_volume_grows_where_its_storage_class_lets_it(stand, mark):
    api, student, course = stand.server.api, f"student-{mark}", f"llm-{mark}"
    path = f"/api/v1/namespaces/{student}/persistentvolumeclaims/workspace"
    workspace = {"storageClassName": "expandable"}

    def read_size():
        return api.get(path)["spec"]["resources"]["requests"]["storage"]

    async def body():
        api.apply(EXPANDABLE)
        async with stand.controller():
            stand.make_course(course, [student], workspace={"size": "1Gi", **workspace})
            await see(stand, course, "Ready")
            api.patch(path, {"spec": {"volumeName": "bound"}})
            api.patch(f"{path}/status", {"status": {"phase": "Bound", "capacity": {"storage": "1Gi"}}})
            stand.make_course(course, [student], workspace={"size": "1536Mi", **workspace})
            await until(lambda: read_size() == "1536Mi", "the larger size")
            # A smaller one is for new volumes; what is larger is no fault.
            stand.make_course(course, [student], workspace={"size": "1Gi", **workspace}, quota={"pods": 9})
            quota = f"/api/v1/namespaces/{student}/resourcequotas/practicum"
            await until(lambda: api.get(quota)["spec"]["hard"]["pods"] == "9", "the quota")
            await see(stand, course, "Ready")
            assert (read_size(), read_course(stand, course)["message"]) == ("1536Mi", "1 students are set up")

    run(stand, body)


def test_what_is_refused_keeps_no_other_part_from_being_made(stand, mark):
    api, student, course = stand.server.api, f"student-{mark}", f"llm-{mark}"
    home = f"/api/v1/namespaces/{student}"

    async def body():
        api.apply(
            {"apiVersion": "v1", "kind": "Namespace", "metadata": {"name": student, "labels": {labels.COURSE: course}}}
        )
        # What a binding refers to cannot be changed, so that the course's own is refused.
        reference = {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "another"}
        metadata = {"name": "practicum-student", "namespace": student}
        binding = {"apiVersion": "rbac.authorization.k8s.io/v1", "kind": "RoleBinding", "metadata": metadata}
        api.apply({**binding, "roleRef": reference})
        async with stand.controller():
            stand.make_course(course, [student])
            await see(stand, course, "Failed", "rolebindings/practicum-student", "cannot change roleRef")
            assert api.find(f"{home}/configmaps/practicum-ingest-ca")
            assert api.find(f"{home}/persistentvolumeclaims/workspace")
            assert api.find(f"{KUEUE}/namespaces/{student}/localqueues/{labels.build_queue_name(course, student)}")

    run(stand, body)


def test_priorities_of_two_courses_are_two_and_a_removed_one_is_removed(stand, mark):
    api = stand.server.api
    short, long = f"c{mark}", f"c{mark}-adv"
    of_short, of_long = (labels.build_priority_class_name(*pair) for pair in ((short, "adv-exam"), (long, "exam")))
    find = f"{KUEUE}/workloadpriorityclasses/{{}}".format

    async def body():
        async with stand.controller():
            stand.make_course(short, [], priorities=[{"name": "adv-exam", "value": 1}, {"name": "kept", "value": 3}])
            stand.make_course(long, [], priorities=[{"name": "exam", "value": 2}])
            await until(lambda: api.find(find(of_short)) and api.find(find(of_long)), "both")
            assert [api.get(find(name))["value"] for name in (of_short, of_long)] == [1, 2]
            stand.make_course(short, [], priorities=[{"name": "kept", "value": 3}])
            await until(lambda: api.find(find(of_short)) is None, "the removal")
            assert api.get(find(of_long))["value"] == 2
            assert api.get(find(labels.build_priority_class_name(short, "kept")))["value"] == 3

    run(stand, body)


def test_a_queue_with_the_name_of_an_earlier_version_is_removed(stand, mark):
    """And nobody else's: a queue without the controller's labels is the student's or the teacher's."""
    api, course, student = stand.server.api, f"c{mark}-10", f"s{mark}"
    root = f"{KUEUE}/namespaces/{student}/localqueues"
    wanted = labels.build_queue_name(course, student)
    marks = {"app.kubernetes.io/managed-by": labels.MANAGER, labels.COURSE: course}

    def list_queues():
        return {one["metadata"]["name"] for one in api.get(root)["items"]}

    async def body():
        async with stand.controller():
            stand.make_course(course, [student])
            await see(stand, course, "Ready")
        for name, own in ((f"{course}-{student}", marks), ("foreign", {})):
            metadata = {"name": name, "namespace": student, "labels": own}
            api.apply({"apiVersion": "kueue.x-k8s.io/v1beta2", "kind": "LocalQueue", "metadata": metadata, "spec": {}})
        # A version whose home has another hash, as one that names queues otherwise.
        api.patch(f"/api/v1/namespaces/{student}", {"metadata": {"annotations": {APPLIED_HASH: "earlier"}}})
        async with stand.controller():
            await until(lambda: list_queues() == {wanted, "foreign"}, f"the removal: {list_queues()}")

    run(stand, body)


def test_the_longest_names_run_a_week(stand, mark):
    course, student, priority = f"{'c' * 33}-{mark}", f"{'s' * 33}-{mark}", "p" * 63

    async def body():
        async with stand.controller():
            stand.make_course(course, [student], priorities=[{"name": priority, "value": 5}])
            await see(stand, course, "Ready")
            stand.make_week_job(student, priorityClassName=priority)
            job = await until(lambda: stand.find_job(student, "model"), "a job")
            marks = job["metadata"]["labels"]
            assert stand.server.api.get(f"{KUEUE}/workloadpriorityclasses/{marks[labels.PRIORITY_CLASS]}")["value"] == 5
            assert stand.server.api.get(f"{KUEUE}/namespaces/{student}/localqueues/{marks[labels.QUEUE_NAME]}")

    run(stand, body)


def test_a_large_class_is_applied_by_the_server(api_server, kubectl, mark, tmp_path):
    students = [
        {"name": f"student-{number:04d}", "namespace": f"{mark}-{number:04d}", "subjects": [f"oidc:{'s' * 60}{number}"]}
        for number in range(2000)
    ]
    course = {"apiVersion": "practicum.dev/v1alpha1", "kind": "Course", "metadata": {"name": f"large-{mark}"}}
    (tmp_path / "course.json").write_text(json.dumps(course | {"spec": {"students": students}}))

    def apply(*options):
        command = [kubectl, "--kubeconfig", api_server.kubeconfig, "apply", *options, "-f", tmp_path / "course.json"]
        return subprocess.run(command, capture_output=True, text=True, check=False, timeout=60)

    assert "Too long" in apply().stderr
    done = apply("--server-side")
    assert done.returncode == 0, done.stderr
