"""What the reconciler does about a week job: documents in a store, changes at a cluster that writes them down."""

from __future__ import annotations

import asyncio
import datetime as dt

import pytest

from practicum_controller import planner, publisher
from practicum_controller.children import Children
from practicum_controller.client import ApiFault
from practicum_controller.endings import Endings
from practicum_controller.ledger import BudgetState
from practicum_controller.observe import Observer
from practicum_controller.places import Places
from practicum_controller.publisher import Publisher
from practicum_controller.reconcile import Reconciler
from practicum_controller.reports import Reports
from practicum_controller.settings import Settings
from practicum_controller.store import Store
from practicum_core import labels
from practicum_core.errors import Reason
from practicum_core.plan import plan_unit
from practicum_core.reports import StepReport

NOW = dt.datetime(2026, 1, 2, 3, 4, 5, tzinfo=dt.UTC)
KEY = ("student-01", "week-03")
UID = "0a1b2c3d-0000-0000-0000-000000000001"


class FakeCluster:
    """A cluster that takes every change and writes it down."""

    def __init__(self):
        self.made, self.deleted, self.patches = [], [], []
        self.versions = 100
        self.refusal = None
        self.store = None
        self.config_maps = []

    async def make(self, resource, document):
        if self.refusal is not None and document["kind"] != "Event":
            raise self.refusal
        if document["kind"] != "Event":
            self.made.append(document["metadata"]["name"])
        uid = f"uid-{resource.plural}-{document['metadata']['name']}"
        meta = {"uid": uid, "creationTimestamp": NOW.isoformat(), "resourceVersion": "2"}
        return document | {"metadata": document["metadata"] | meta}

    async def apply(self, resource, document):
        return await self.make(resource, document)

    async def delete(self, resource, namespace, name, uid=None):
        self.deleted.append((resource.plural, namespace, name, uid))

    async def patch(self, resource, namespace, name, document, *, subresource=""):
        self.patches.append((resource.plural, namespace, name, subresource, document))
        if self.store is None or not subresource:
            return None
        self.versions += 1
        before = self.store.week_jobs[namespace, name]
        status = {
            key: value for key, value in (before.get("status", {}) | document["status"]).items() if value is not None
        }
        meta = before["metadata"] | {"resourceVersion": str(self.versions)}
        return before | {"metadata": meta, "status": status}

    async def read(self, path):
        assert path.startswith("/api/v1/namespaces/student-01/configmaps?labelSelector=")
        return {"items": self.config_maps}

    @property
    def status(self):
        """The last status that was written."""
        return next(body["status"] for *_, subresource, body in reversed(self.patches) if subresource)


class FakeHistory:
    """Keeps what a test looks at."""

    def __init__(self):
        self.ended, self.pages = [], {}

    def save_week_job(self, entry):
        self.ended.append(entry.phase)

    def reopen(self, uid):
        self.ended.clear()

    def read_last_evidence(self, uid):
        return self.pages.get(uid)


class FakeAccounts:
    """Nothing was used, unless a test sets a budget."""

    has_open = False
    budget = BudgetState()

    def is_settled(self, scene):
        return not self.has_open

    def read_budget(self, roster, weekjob, now):
        return self.budget

    async def charge(self, scene):
        self.scene = scene
        return self.budget.left_s


class School:
    """A course of one student with one week job."""

    def __init__(self, *, status=None, finalizers=(), deleted=None, course=None, **spec):
        self.cluster, self.history, self.store = FakeCluster(), FakeHistory(), Store()
        self.accounts, self.reports, places = FakeAccounts(), Reports(self.history), Places(self.history)
        meta = {"name": "student-01", "uid": "ns", "labels": {labels.COURSE: "llm"}, "resourceVersion": "1"}
        self.store.put("Namespace", {"kind": "Namespace", "metadata": meta})
        self.put_course(**(course or {}))
        self.put_week_job({"unit": "sft", "profile": "quick", **spec}, status, finalizers, deleted)
        self.now = NOW
        observer = Observer(self.store, self.reports, places, self.accounts)
        self.children = Children(self.store, self.cluster, Settings())
        endings = Endings(self.cluster, self.children, self.reports)
        publisher = Publisher(self.store, self.cluster, self.reports, places, self.accounts, endings)
        self.reconciler = Reconciler(observer, self.children, publisher, 1800, lambda: self.now)

    def put_course(self, version=1, **spec):
        document = {
            "kind": "Course",
            "metadata": {"name": "llm", "uid": "course", "resourceVersion": str(version)},
            "spec": {"students": [{"name": "student-01"}], **spec},
        }
        self.store.put("Course", document)

    def put_week_job(self, spec, status, finalizers, deleted):
        meta = {"name": KEY[1], "namespace": KEY[0], "uid": UID, "resourceVersion": "1", "generation": 1}
        meta |= {"creationTimestamp": NOW.isoformat(), "finalizers": list(finalizers)}
        meta |= {"deletionTimestamp": deleted} if deleted else {}
        document = {"kind": "WeekJob", "metadata": meta, "spec": spec}
        self.store.put("WeekJob", document | ({"status": status} if status else {}))

    def finish_steps(self, *names, outcome="succeeded", **rest):
        for name in names:
            self.reports.take(StepReport(uid=UID, step=name, attempt=1, outcome=outcome, **rest), self.now)

    def reconcile(self):
        return asyncio.run(self.reconciler.reconcile(KEY))


def test_the_first_step_is_made_and_waits_in_the_queue():
    school = School()
    school.reconcile()
    assert school.cluster.made == ["week-03-model-1"]
    assert (school.cluster.status["phase"], school.cluster.status["reason"]) == ("Queued", "Queued")


def test_a_rejection_is_in_the_history():
    school = School(set={"sft.no_such_option": 1})
    school.reconcile()
    assert (school.cluster.status["phase"], school.cluster.status["reason"]) == ("Failed", "ConfigInvalid")
    assert (school.history.ended, school.cluster.made) == (["Failed"], [])


def mend(school, generation=2, **spec):
    """Change the specification as `kubectl apply` does, under the status that was written."""
    before = school.store.week_jobs[KEY]
    school.cluster.versions += 1
    meta = before["metadata"] | {"generation": generation, "resourceVersion": str(school.cluster.versions)}
    spec = {"unit": "sft", "profile": "quick", **spec}
    school.store.put("WeekJob", before | {"metadata": meta, "spec": spec})


def read_status(school):
    return school.store.week_jobs[KEY]["status"]


def test_a_mended_rejection_runs():
    school = School(set={"sft.no_such_option": 1})
    school.cluster.store = school.store
    school.reconcile()
    mend(school, set={"sft.no_such_thing": 1})
    assert school.reconcile() < 1
    school.reconcile()
    assert (read_status(school)["phase"], school.history.ended) == ("Failed", ["Failed"])
    mend(school, 3, set={"sft.lora_r": 4})
    assert school.reconcile() < 1
    school.reconcile()
    assert (school.cluster.made, school.history.ended) == (["week-03-model-1"], [])
    assert read_status(school)["phase"] == "Queued"


def test_what_an_earlier_specification_left_goes_before_the_mended_one_runs():
    school = School()
    school.cluster.store = school.store
    school.reconcile()
    school.finish_steps("model", outcome="failed", reason=Reason.DATA_INVALID, message="no such file")
    school.reconcile()
    assert (read_status(school)["phase"], read_status(school).get("startTime")) == ("Failed", None)
    mend(school, seed=8)
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]
    assert school.cluster.made == ["week-03-model-1"]
    (child,) = school.store.get_family(UID).children.values()
    school.store.drop("Job", child)
    school.reconcile()
    school.reconcile()
    assert school.cluster.made == ["week-03-model-1"] * 2
    assert read_status(school)["phase"] == "Queued"


def test_a_change_to_a_week_job_that_ran_starts_nothing():
    school = School()
    school.cluster.store = school.store
    school.finish_steps("model", "snapshot", "sft", "inference", "evaluate", "report")
    school.reconcile()
    mend(school, seed=8)
    school.reconcile()
    assert (school.cluster.made, school.history.ended) == ([], ["Succeeded"])


def test_a_course_that_cannot_be_read_stops_nobody():
    school = School()
    school.reconcile()
    # The definition cannot say which names are environments; this version refuses the word.
    school.put_course(version=2, images={"trian": "registry.example/train:1"})
    school.reconcile()
    assert school.cluster.deleted == []
    assert school.cluster.status["phase"] == "Queued"


def test_a_suspended_week_job_is_stopped_under_any_course():
    school = School()
    school.reconcile()
    school.put_course(version=2, images={"trian": "registry.example/train:1"})
    document = school.store.week_jobs[KEY]
    school.store.week_jobs[KEY] = document | {"spec": document["spec"] | {"suspend": True}}
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]


def test_a_course_that_cannot_be_read_starts_nobody():
    school = School(course={"images": {"trian": "registry.example/train:1"}})
    school.reconcile()
    assert school.cluster.made == []
    assert school.cluster.status["reason"] == Reason.COURSE_MISSING
    assert "the teacher must correct it" in school.cluster.status["message"]


def test_a_student_who_left_is_stopped():
    school = School()
    school.reconcile()
    school.put_course(version=2, students=[])
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]


@pytest.mark.parametrize("phase", ["Succeeded", "Failed"])
def test_a_week_job_that_ended_under_another_version_never_starts_again(phase):
    status = {
        "phase": phase,
        "reason": "AReasonOfTheNextVersion",
        "message": "done",
        "startTime": NOW.isoformat(),
        "completionTime": NOW.isoformat(),
        "aFieldOfTheNextVersion": 1,
    }
    school = School(status=status)
    assert school.reconcile() is None
    assert (school.cluster.made, school.cluster.patches) == ([], [])


def test_a_list_from_before_its_end_does_not_start_a_week_job_again():
    school = School()
    school.finish_steps("model", "snapshot", "sft", "inference", "evaluate", "report")
    before = school.store.week_jobs[KEY]
    school.reconcile()
    ended = school.cluster.status
    assert (ended["phase"], school.history.ended) == ("Succeeded", ["Succeeded"])
    assert school.reports.get(UID) == {}
    listed = {"metadata": {**before["metadata"], "resourceVersion": "1"}, "spec": before["spec"]}
    school.store.replace("WeekJob", [{"kind": "WeekJob", **listed, "status": {"phase": "Running"}}])
    school.reconcile()
    assert school.cluster.made == []
    assert school.cluster.status == ended


QUOTA = {"cpu": "4", "memory": "16Gi", "slices": 1}
PRIORITIES = [{"name": "normal", "value": 0}, {"name": "final", "value": 9, "units": ["capstone"]}]


@pytest.mark.parametrize(
    ("spec", "reason", "words"),
    [
        ({"resources": {"gpu": {"slices": 2}}}, "QuotaExceeded", "GPU slices: 1 x 2 are asked for and one student may"),
        ({"resources": {"gpu": {"slices": 1}, "workers": 2}}, "QuotaExceeded", "GPU slices: 2 x 1"),
        ({"resources": {"memory": "9Gi", "workers": 2}}, "QuotaExceeded", "memory: 2 x 9Gi"),
        ({"resources": {"cpu": "4500m"}}, "QuotaExceeded", "cpu: 1 x 4500m"),
        (
            {"priorityClassName": "urgent"},
            "ConfigInvalid",
            "'urgent' is none of the course's priorities (normal, final)",
        ),
        ({"priorityClassName": "final"}, "ConfigInvalid", "'final' is for capstone, not for sft"),
        ({"image": "registry.example/mine"}, "ConfigInvalid", "this course runs its own images alone"),
    ],
)
def test_what_could_never_run_takes_no_place_in_the_queue(spec, reason, words):
    school = School(course={"quota": QUOTA, "priorities": PRIORITIES}, **spec)
    school.finish_steps("model", "snapshot")
    school.reconcile()
    assert school.cluster.made == []
    assert (school.cluster.status["phase"], school.cluster.status["reason"]) == ("Queued", reason)
    assert words in school.cluster.status["message"]


def test_what_fits_the_quota_exactly_and_is_allowed_is_queued():
    spec = {"resources": {"gpu": {"slices": 1}, "cpu": "4", "memory": "16384Mi"}, "priorityClassName": "normal"}
    spec |= {"image": "registry.example/mine"}
    school = School(course={"quota": QUOTA, "priorities": PRIORITIES, "allowImages": True}, **spec)
    school.finish_steps("model", "snapshot")
    school.reconcile()
    assert school.cluster.made == ["week-03-sft-1"]


def test_a_week_job_that_is_deleted_is_let_go():
    school = School(finalizers=[labels.FINALIZER, "other"], deleted=NOW.isoformat())
    school.reconcile()
    assert [body["metadata"]["finalizers"] for *_, body in school.cluster.patches] == [["other"]]


@pytest.mark.parametrize("has_open", [False, True])
def test_a_week_job_that_ended_is_held_while_an_account_is_open(has_open):
    school = School(finalizers=[labels.FINALIZER, "other"])
    school.accounts.has_open = has_open
    school.finish_steps("model", "snapshot", "sft", "inference", "evaluate", "report")
    school.reconcile()
    released = [body["metadata"]["finalizers"] for *_, sub, body in school.cluster.patches if not sub]
    assert released == ([] if has_open else [["other"]])


def test_a_week_job_that_waits_or_runs_is_held():
    school = School(finalizers=[labels.FINALIZER])
    school.reconcile()
    assert [sub for _, _, _, sub, _ in school.cluster.patches] == ["status"]


def test_a_child_that_the_cluster_refuses_is_told_to_the_student():
    school = School()
    school.cluster.refusal = ApiFault(404, "the server could not find the requested resource", "rayjobs")
    with pytest.raises(ApiFault):
        school.reconcile()
    assert (school.cluster.status["phase"], school.cluster.status["reason"]) == ("Queued", Reason.POD_REFUSED)
    assert "could not find the requested resource" in school.cluster.status["message"]


@pytest.mark.parametrize("status", [0, 409, 429, 500, 503])
def test_whatever_the_cluster_answers_stands_in_the_status(status):
    school = School()
    school.cluster.refusal = ApiFault(status, "failed calling webhook mjob.kb.io", "jobs")
    with pytest.raises(ApiFault):
        school.reconcile()
    assert (school.cluster.status["phase"], school.cluster.status["reason"]) == ("Queued", Reason.UPSTREAM_UNAVAILABLE)
    assert "failed calling webhook mjob.kb.io" in school.cluster.status["message"]
    school.cluster.refusal = None
    school.reconcile()
    assert school.cluster.made == ["week-03-model-1"]


def test_a_week_job_that_is_held_at_its_deletion_keeps_no_child():
    school = School(finalizers=["other"])
    school.reconcile()
    school.store.week_jobs[KEY]["metadata"]["deletionTimestamp"] = NOW.isoformat()
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]


def test_a_child_that_a_deletion_left_behind_is_deleted():
    school = School()
    school.reconcile()
    asyncio.run(school.children.delete_orphans())
    assert school.cluster.deleted == []
    school.store.drop("WeekJob", school.store.week_jobs[KEY])
    asyncio.run(school.children.delete_orphans())
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]


def test_the_end_of_a_week_does_not_wait_for_its_evidence():
    school = School()
    school.history.pages[UID] = "H4sI"
    school.finish_steps("model", "snapshot", "sft", "inference", "evaluate", "report")
    school.cluster.refusal = ApiFault(403, "exceeded quota: configmaps=2", "configmaps")
    assert school.reconcile() <= 60
    ended = school.cluster.status
    assert (ended["phase"], school.history.ended) == ("Succeeded", ["Succeeded"])
    assert "its evidence page is not kept yet: configmaps: 403 exceeded quota" in ended["message"]
    school.put_week_job(school.store.week_jobs[KEY]["spec"], ended, (), None)
    school.cluster.refusal = None
    school.reconcile()
    assert school.cluster.made == ["week-03-evidence"]
    kept = school.cluster.status
    assert kept["evidence"] == "configmap/week-03-evidence"
    assert "evidence" not in kept["message"]


@pytest.mark.parametrize(("name", "is_kept"), [("week-02-evidence", False), ("week-03-evidence", True)])
def test_evidence_pages_of_a_namespace_are_bounded(name, is_kept):
    """A page beyond the bound is not kept; the week job's own page, written before, does not count."""
    school = School()
    school.history.pages[UID] = "H4sI"
    school.cluster.config_maps = [
        {"metadata": {"name": "practicum-ingest-ca"}, "data": {"ca.crt": "authority"}},
        {"metadata": {"name": name}, "binaryData": {"index.html.gz": "A" * (publisher.MAX_PAGES_BYTES - 3)}},
    ]
    school.finish_steps("model", "snapshot", "sft", "inference", "evaluate", "report")
    school.reconcile()
    ended = school.cluster.status
    assert ended["phase"] == "Succeeded"
    assert ("week-03-evidence" in school.cluster.made) is is_kept
    assert ("in the workspace alone" in ended["message"]) is not is_kept


def test_what_holds_one_step_does_not_lift_what_holds_another(monkeypatch):
    """A step that does not fit is held beside a step whose pod still ends: both are told to the plan."""
    told = []

    def note_holds(spec, unit, observed, now):
        told.append({name: hold.reason for name, hold in observed.holds.items()})
        return plan_unit(spec, unit, observed, now)

    monkeypatch.setattr(planner, "plan_unit", note_holds)
    school = School(course={"quota": QUOTA}, resources={"gpu": {"slices": 2}})
    school.finish_steps("model", "snapshot")
    put_pod(school, {"running": {}}, "evaluate")
    school.reconcile()
    assert told[-1] == {"evaluate": Reason.STAGE_STARTING, "sft": Reason.QUOTA_EXCEEDED}


def put_pod(school, state, step="model"):
    marks = {labels.WEEK_JOB_UID: UID, labels.STEP: step, labels.ATTEMPT: "1"}
    pod = {
        "kind": "Pod",
        "metadata": {"name": "p", "namespace": KEY[0], "uid": "p1", "labels": marks, "resourceVersion": "3"},
        "status": {"phase": "Pending", "containerStatuses": [{"name": "stage", "state": state}]},
    }
    school.store.put("Pod", pod)


IMAGE_FAULT = {"waiting": {"reason": "ImagePullBackOff", "message": "no such image"}}
MENDED = {"images": {"base": "registry.example/base:2", "train": "registry.example/train:2"}}


@pytest.mark.parametrize(("state", "is_replaced"), [(IMAGE_FAULT, True), ({"running": {}}, False)])
def test_a_mended_image_reaches_a_child_that_does_not_run(state, is_replaced):
    school = School()
    school.reconcile()
    child = next(iter(school.store.get_family(UID).children.values()))
    child["spec"]["suspend"] = False
    put_pod(school, state)
    school.put_course(version=2, **MENDED)
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"] * is_replaced
    assert school.cluster.made == ["week-03-model-1"]
    if is_replaced:
        school.store.drop("Pod", {"metadata": {"name": "p", "uid": "p1", "resourceVersion": "4"}})
        school.store.drop(child["kind"], {"metadata": child["metadata"] | {"resourceVersion": "4"}})
        school.reconcile()
        assert school.cluster.made == ["week-03-model-1"] * 2


def test_a_new_deadline_costs_no_place_in_the_queue():
    school = School()
    school.reconcile()
    school.store.week_jobs[KEY]["spec"]["activeDeadlineSeconds"] = 600
    school.reconcile()
    assert (school.cluster.deleted, school.cluster.made) == ([], ["week-03-model-1"])


OVER = BudgetState("the GPU budget of this week is spent")


def run_on_a_gpu(*, stops_running):
    """Return a week job whose training runs on a GPU, under a course that stops such steps for the budget or not."""
    budget = {"gpuHoursPerWeek": 1, "stopsRunning": stops_running}
    school = School(course={"budget": budget}, resources={"gpu": {"slices": 1}})
    school.cluster.store = school.store
    school.finish_steps("model", "snapshot")
    school.reconcile()
    (child,) = school.store.get_family(UID).children.values()
    child["spec"]["suspend"] = False
    child["status"] = {"jobDeploymentStatus": "Running", "jobStatus": "RUNNING"}
    put_pod(school, {"running": {}}, "sft")
    school.reconcile()
    assert read_status(school)["phase"] == "Running"
    return school, child


def test_a_used_up_budget_stops_what_runs_and_a_reset_lets_it_go_on():
    school, child = run_on_a_gpu(stops_running=True)
    school.accounts.budget = OVER
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-sft-1"]
    school.store.drop("Pod", {"metadata": {"name": "p", "uid": "p1", "resourceVersion": "4"}})
    school.store.drop(child["kind"], child)
    school.reports.take(StepReport(uid=UID, step="sft", attempt=1, outcome="running", progress=0.5), school.now)
    school.reconcile()
    waits = read_status(school)
    assert (waits["phase"], waits["reason"]) == ("Queued", "BudgetExceeded")
    assert "the GPU budget of this week is spent" in waits["message"]
    school.accounts.budget = BudgetState()
    school.reconcile()
    assert school.cluster.made == ["week-03-sft-1", "week-03-sft-2"]
    school.reconcile()
    (stage,) = [stage for stage in read_status(school)["stages"] if stage["name"] == "sft"]
    # The start after a stop is no failure: backoffLimit is untouched.
    assert (stage["attempt"], stage["resumes"]) == (2, 1)


def test_a_course_may_let_what_runs_finish_over_budget():
    school, _ = run_on_a_gpu(stops_running=False)
    school.accounts.budget = OVER
    school.reconcile()
    assert school.cluster.deleted == []
    assert read_status(school)["phase"] == "Running"


def test_a_running_week_job_is_looked_at_when_its_budget_ends():
    school, _ = run_on_a_gpu(stops_running=True)
    school.accounts.budget = BudgetState(left_s=7.0)
    assert school.reconcile() == 8.0
    # Another week job of the student may use it up faster.
    school.accounts.budget = BudgetState(left_s=7000.0)
    assert school.reconcile() == 61.0


@pytest.mark.parametrize(("asked_s", "limit_s"), [(None, 120), (600, 120), (90, 90)])
def test_no_week_job_runs_longer_than_its_course_allows(asked_s, limit_s):
    school = School(course={"maxActiveDeadlineSeconds": 120}, activeDeadlineSeconds=asked_s)
    school.cluster.store = school.store
    school.reconcile()
    (child,) = school.store.get_family(UID).children.values()
    child["spec"]["suspend"] = False
    put_pod(school, {"running": {}})
    assert school.reconcile() == limit_s + 1
    school.now += dt.timedelta(seconds=limit_s)
    school.reconcile()
    assert school.cluster.deleted == []
    school.now += dt.timedelta(seconds=1)
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]
    school.store.drop("Pod", {"metadata": {"name": "p", "uid": "p1", "resourceVersion": "4"}})
    school.store.drop("Job", child)
    school.reconcile()
    ended = read_status(school)
    assert (ended["phase"], ended["reason"]) == ("Failed", "DeadlineExceeded")
    assert f"{limit_s} s" in ended["message"]


def test_a_dropped_child_holds_its_account_until_its_pods_are_gone():
    school = School(suspend=True)
    put_pod(school, {"running": {}})
    pod = school.store.get_family(UID).pods["p1"]
    pod["status"]["phase"] = "Running"
    school.reconcile()
    assert set(school.accounts.scene.left_pods) == {"model"}
    school.store.drop("Pod", {"metadata": {"name": "p", "uid": "p1", "resourceVersion": "4"}})
    school.reconcile()
    assert set(school.accounts.scene.left_pods) == set()


def list_running(school):
    """Return the children whose pods run, as the accounts were told."""
    return [child.uid for child in school.accounts.scene.children if child.has_running_pods]


def run_past_the_report():
    """Return a week job whose first step reported its end while its pod runs, and that step's child."""
    school = School()
    school.reconcile()
    child = next(iter(school.store.get_family(UID).children.values()))
    child["spec"]["suspend"] = False
    put_pod(school, {"running": {}})
    school.finish_steps("model")
    return school, child


@pytest.mark.parametrize("is_over", [False, True])
def test_a_pod_that_outlives_its_report_is_ended(is_over):
    school, child = run_past_the_report()
    if is_over:
        week_job = school.store.week_jobs[KEY]
        week_job["status"] = {"phase": "Failed", "reason": "DeadlineExceeded", "completionTime": NOW.isoformat()}
    assert school.reconcile() <= 120
    if is_over:
        assert list_running(school) == [child["metadata"]["uid"]]
    school.now = NOW + dt.timedelta(seconds=119)
    assert school.reconcile() <= 1
    assert school.cluster.deleted == []
    school.now = NOW + dt.timedelta(seconds=121)
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]


def test_a_pod_that_ends_after_its_report_is_left_alone():
    school, _ = run_past_the_report()
    school.reconcile()
    school.store.get_family(UID).pods["p1"]["status"]["phase"] = "Succeeded"
    school.now = NOW + dt.timedelta(seconds=121)
    school.reconcile()
    assert school.cluster.deleted == []


def test_a_pod_of_another_step_keeps_no_finished_step():
    school = School()
    school.reconcile()
    school.finish_steps("model")
    # A pod of a Ray cluster says of no Job that it is its own.
    put_pod(school, {"running": {}}, "snapshot")
    school.reconcile()
    school.now = NOW + dt.timedelta(seconds=121)
    school.reconcile()
    assert school.cluster.deleted == []


def test_an_attempt_that_hangs_is_ended_beside_the_next():
    school = School(backoffLimit=1)
    school.reconcile()
    first = next(iter(school.store.get_family(UID).children))
    put_pod(school, {"running": {}})
    school.finish_steps("model", outcome="failed", reason=Reason.STAGE_CRASHED)
    school.reconcile()
    assert school.cluster.made == ["week-03-model-1", "week-03-model-2"]
    assert list_running(school) == [first]
    school.now = NOW + dt.timedelta(seconds=121)
    school.reconcile()
    assert [name for _, _, name, _ in school.cluster.deleted] == ["week-03-model-1"]
    school.store.get_family(UID).pods["p1"]["status"]["phase"] = "Failed"
    school.reconcile()
    assert list_running(school) == []
