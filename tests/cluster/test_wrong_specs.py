"""Wrong week jobs and courses: each is refused by the API server, or the controller ends it with a sentence."""

from __future__ import annotations

import uuid

import pytest

from controller_stand import Stand, run, until
from practicum_cluster.api import ApiError

pytestmark = pytest.mark.cluster
LONG = "x" * 41

# What is refused at once: spec of a WeekJob -> part of the sentence.
REFUSED = {
    "no unit": ({}, "unit"),
    "an unknown unit": ({"unit": "sfd"}, "Unsupported value"),
    "a unit that is a number": ({"unit": 3}, "must be of type string"),
    "an unknown key": ({"unit": "sft", "modle": {}}, "unknown field"),
    "an unknown key inside": ({"unit": "sft", "resources": {"gpus": 1}}, "unknown field"),
    "an unknown variant": ({"unit": "sft", "variant": 9}, "Unsupported value"),
    "an unknown profile": ({"unit": "sft", "profile": "fast"}, "Unsupported value"),
    "a model without a scheme": ({"unit": "sft", "model": {"uri": "Qwen2.5"}}, "starts with builtin:"),
    "a model by http": ({"unit": "sft", "model": {"uri": "http://a/b"}}, "starts with builtin:"),
    "a model that is a text": ({"unit": "sft", "model": "hf://a/b"}, "must be of type object"),
    "the latest of nothing": ({"unit": "sft", "model": {"uri": "latest:"}}, "latest:, run: or pointer:"),
    "the latest of a folder above": ({"unit": "sft", "model": {"uri": "latest:../a"}}, "latest:, run: or pointer:"),
    "a pointer that is a path": ({"unit": "sft", "data": {"uri": "pointer:/a"}}, "latest:, run: or pointer:"),
    "a path inside the run": ({"unit": "sft", "data": {"uri": "run:stages/x"}}, "latest:, run: or pointer:"),
    "data without a scheme": ({"unit": "sft", "data": {"uri": "/etc/passwd"}}, "starts with builtin:"),
    "a negative seed": ({"unit": "sft", "seed": -1}, "greater than or equal to 0"),
    "a seed that is a text": ({"unit": "sft", "seed": "seven"}, "must be of type integer"),
    "negative slices": ({"unit": "sft", "resources": {"gpu": {"slices": -1}}}, "greater than or equal to 0"),
    "too many slices": ({"unit": "sft", "resources": {"gpu": {"slices": 65}}}, "less than or equal to 64"),
    "half a slice": ({"unit": "sft", "resources": {"gpu": {"slices": 0.5}}}, "must be of type integer"),
    "no workers": ({"unit": "sft", "resources": {"workers": 0}}, "greater than or equal to 1"),
    "an invalid quantity": ({"unit": "sft", "resources": {"memory": "8 gigabytes"}}, "should match"),
    "a negative quantity": ({"unit": "sft", "resources": {"cpu": "-1"}}, "should match"),
    "a quantity that is a number": ({"unit": "sft", "resources": {"cpu": 2}}, "must be of type string"),
    "no CPU": ({"unit": "sft", "resources": {"cpu": "0"}}, "spec.resources.cpu is at least 10m"),
    "hardly any CPU": ({"unit": "sft", "resources": {"cpu": "9.9m"}}, "spec.resources.cpu is at least 10m"),
    "no memory": ({"unit": "sft", "resources": {"memory": "0"}}, "spec.resources.memory is at least 16Mi"),
    "memory in MB that is bytes": ({"unit": "sft", "resources": {"memory": "512"}}, "is at least 16Mi"),
    "thousandths of bytes": ({"unit": "sft", "resources": {"memory": "512m"}}, "m is a thousandth, write Mi"),
    "an unknown engine": ({"unit": "sft", "serving": {"engine": "vllm"}}, "Unsupported value"),
    "more replicas at least than at most": (
        {"unit": "sft", "serving": {"minReplicas": 3, "maxReplicas": 1}},
        "may not be above maxReplicas",
    ),
    "an empty image": ({"unit": "sft", "image": ""}, "at least 1 chars"),
    "too long a priority": ({"unit": "sft", "priorityClassName": "p" * 64}, "Too long"),
    "no time": ({"unit": "sft", "activeDeadlineSeconds": 0}, "greater than or equal to 1"),
    "a negative time to live": ({"unit": "sft", "ttlSecondsAfterFinished": -5}, "greater than or equal to 0"),
    "too many tries": ({"unit": "sft", "backoffLimit": 11}, "less than or equal to 10"),
    "suspend as a text": ({"unit": "sft", "suspend": "yes"}, "must be of type boolean"),
    "set as a list": ({"unit": "sft", "set": ["a"]}, "must be of type object"),
}
NAMES = {
    LONG: "may have 40 characters",
    "3-weeks": "starts with a letter",
    "week.3": "starts with a letter",
    "Week-3": "lowercase RFC 1123",
}
COURSES = {
    "an unknown key": ({"student": []}, "unknown field"),
    "mig without a profile": ({"gpu": {"sharing": "mig"}}, "migProfile is needed"),
    "an unknown profile": ({"gpu": {"sharing": "mig", "migProfile": "half"}}, "should match"),
    "a student of the system's": ({"students": [{"name": "kube-system"}]}, "one of the system's"),
    "a student with capitals": ({"students": [{"name": "Student-01"}]}, "should match"),
    "the same student twice": ({"students": [{"name": "student-01"}, {"name": "student-01"}]}, "Duplicate value"),
    "a slice that is a CPU": ({"gpu": {"resourceName": "cpu"}}, "an extended resource"),
    "a slice that is the cluster's": ({"gpu": {"resourceName": "node.kubernetes.io/memory"}}, "an extended resource"),
    "stages without CPU": ({"stageResources": {"cpu": "0"}}, "spec.stageResources.cpu is at least 10m"),
    "a quota without memory": ({"quota": {"memory": "1Ki"}}, "spec.quota.memory is at least 16Mi"),
    "a volume of thousandths": ({"workspace": {"size": "20m"}}, "spec.workspace.size is in bytes"),
    "a negative budget": ({"budget": {"gpuHoursPerWeek": -1}}, "greater than or equal to 0"),
    "a day that is none": ({"budget": {"resetsOn": "Funday"}}, "Unsupported value"),
    "an invalid quantity": ({"queue": {"memory": "lots"}}, "should match"),
    "a node label with a slash in it": ({"queue": {"nodeLabels": {"pool": "a/b"}}}, "should match"),
}
# What the definition cannot see: spec -> part of the sentence in the status.
TOLD = {
    "set of a step not in the unit": (
        {"unit": "experiments", "set": {"sft.lora_r": 8}},
        "unknown step in 'sft.lora_r'",
    ),
    "set without a step": ({"unit": "experiments", "set": {"limit": 8}}, "unknown step in 'limit'"),
    "an unknown option": ({"unit": "sft", "set": {"sft.leraning_rate": 0.1}}, "did you mean 'learning_rate'"),
    "an option of the wrong type": ({"unit": "sft", "set": {"sft.lora_r": "many"}}, "sft.lora_r"),
    "an option out of range": ({"unit": "sft", "set": {"sft.max_steps": -4}}, "sft.max_steps"),
    "a reference with dots": (
        {"unit": "sft", "model": {"uri": "latest:sft/../../x"}},
        "no path inside a run directory",
    ),
    "a reference in an option": ({"unit": "sft", "set": {"evaluate.candidate": "pointer:../x"}}, "names no pointer"),
    "several at once": ({"unit": "sft", "set": {"a.b": 1, "sft.c": 2}}, "unknown step in 'a.b'"),
}

# The same of a course.
TOLD_OF_COURSES = {
    "an image of no environment": ({"images": {"trian": "a"}}, "no environment is called trian"),
    "a node label without a name": ({"queue": {"nodeLabels": {"": "a"}}}, "'' cannot be the name of a label"),
}


def try_to_make(server, kind, metadata, spec):
    plural = {"WeekJob": f"namespaces/{metadata.get('namespace')}/weekjobs", "Course": "courses"}[kind]
    path = f"/apis/practicum.dev/v1alpha1/{plural}?dryRun=All&fieldValidation=Strict"
    document = {"apiVersion": "practicum.dev/v1alpha1", "kind": kind, "metadata": metadata, "spec": spec}
    with pytest.raises(ApiError) as refusal:
        server.api.request("POST", path, document)
    assert refusal.value.status in {400, 422}
    return str(refusal.value)


@pytest.mark.parametrize("name", REFUSED)
def test_a_wrong_week_job_is_refused(server, name):
    spec, said = REFUSED[name]
    assert said in try_to_make(server, "WeekJob", {"name": "week-01", "namespace": "default"}, spec)


def test_references_to_earlier_runs_are_accepted(server):
    path = "/apis/practicum.dev/v1alpha1/namespaces/default/weekjobs?dryRun=All&fieldValidation=Strict"
    for uri in ("latest:sft/merged", "run:20260102t030405-0a1b2c", "pointer:best/merged"):
        spec = {"unit": "sft", "model": {"uri": uri}, "data": {"uri": uri}, "set": {"evaluate.candidate": uri}}
        document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "metadata": {"name": "week-03"}}
        assert server.api.request("POST", path, {**document, "spec": spec})["spec"]["model"]["uri"] == uri


@pytest.mark.parametrize("name", NAMES)
def test_a_wrong_name_is_refused(server, name):
    assert NAMES[name] in try_to_make(server, "WeekJob", {"name": name, "namespace": "default"}, {"unit": "sft"})


@pytest.mark.parametrize("name", COURSES)
def test_a_wrong_course_is_refused(server, name):
    spec, said = COURSES[name]
    assert said in try_to_make(server, "Course", {"name": "llm"}, spec)


def test_what_only_the_controller_sees_is_told(server, tmp_path):
    stand = Stand(server, tmp_path)
    student, course = (f"{word}-{uuid.uuid4().hex[:6]}" for word in ("student", "llm"))

    async def body():
        async with stand.controller() as controller:
            stand.make_course(course, [student])
            await until(lambda: controller.store.get_course(student), "the course")
            for number, (spec, said) in enumerate(TOLD.values()):
                name = f"wrong-{number}"
                stand.make_week_job(student, name, **spec)
                status = await until(lambda name=name: stand.get_status(student, name), name, 30)
                accepted = next(one for one in status["conditions"] if one["type"] == "Accepted")
                assert (status["phase"], status["reason"], accepted["status"]) == ("Failed", "ConfigInvalid", "False")
                assert said in status["message"] == accepted["message"]

    run(stand, body)


@pytest.mark.parametrize("name", TOLD_OF_COURSES)
def test_what_only_the_controller_sees_in_a_course_is_told(server, tmp_path, name):
    stand = Stand(server, tmp_path)
    spec, said = TOLD_OF_COURSES[name]
    course = f"llm-{uuid.uuid4().hex[:6]}"
    path = f"/apis/practicum.dev/v1alpha1/courses/{course}"

    async def body():
        async with stand.controller():
            stand.make_course(course, [], **spec)
            status = await until(lambda: server.api.get(path).get("status"), "a status")
            assert (status["phase"], status["observedGeneration"]) == ("Failed", 1)
            assert said in status["message"] == status["conditions"][0]["message"]
        server.api.delete(path)

    run(stand, body)


def test_a_mended_week_job_runs_and_one_that_ended_refuses_the_change(server, tmp_path):
    stand = Stand(server, tmp_path)
    student, course = (f"{word}-{uuid.uuid4().hex[:6]}" for word in ("student", "llm"))
    path = f"/apis/practicum.dev/v1alpha1/namespaces/{student}/weekjobs/week-01"

    async def body():
        async with stand.controller() as controller:
            stand.make_course(course, [student])
            await until(lambda: controller.store.get_course(student), "the course")
            stand.make_week_job(student, set={"evaluate.limt": 8})
            await until(lambda: stand.get_status(student).get("phase") == "Failed", "the refusal")
            stand.make_week_job(student, set={"evaluate.limit": 8})
            await until(lambda: stand.get_status(student).get("phase") == "Queued", "the queue")
            assert stand.find_job(student, "model")
        status = {"phase": "Succeeded", "startTime": "2026-01-02T03:04:05Z"}
        server.api.patch(f"{path}/status", {"status": status})
        changes = ({"set": {"evaluate.limit": 9}}, {"suspend": True}, {"backoffLimit": 2})
        for change in changes:
            with pytest.raises(ApiError, match="cannot change once the week job has ended"):
                server.api.patch(path, {"spec": change})
        server.api.patch(path, {"metadata": {"labels": {"mine": "yes"}}})

    run(stand, body)


def test_what_started_cannot_be_changed(server):
    api = server.api
    document = {"apiVersion": "practicum.dev/v1alpha1", "kind": "WeekJob", "metadata": {"name": "frozen"}}
    api.create({**document, "spec": {"unit": "sft"}})
    path = "/apis/practicum.dev/v1alpha1/namespaces/default/weekjobs/frozen"
    api.patch(f"{path}/status", {"status": {"startTime": "2026-01-02T03:04:05Z"}})
    changes = {
        "unit": "data",
        "variant": 12,
        "profile": "quick",
        "seed": 8,
        "image": "another",
        "model": {"uri": "hf://a/b"},
        "data": {"uri": "builtin:other"},
        "waiveLeakage": ["exact:train-test"],
        "resources.workers": 2,
    }
    for field, value in changes.items():
        outer, _, inner = field.partition(".")
        with pytest.raises(ApiError, match=f"spec.{field} cannot change once"):
            api.patch(path, {"spec": {outer: {inner: value} if inner else value}})
    api.patch(path, {"spec": {"suspend": True}})
    api.delete(path)
