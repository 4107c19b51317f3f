"""What a pod may be told to run: steps of its unit, and options that name nothing outside the workspace."""

from __future__ import annotations

from urllib.parse import quote

import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st

from agent_stand import build_step
from practicum_core.errors import ConfigError, PracticumError
from practicum_jobs.agent.assignment import check_assignment

SECRET = "the-pods-own-token"  # noqa: S105 - a test's


@pytest.fixture(scope="session")
def pod(tmp_path_factory):
    """A pod's folders: the workspace beside what the kubelet projects, and links that lead from one to the other."""
    folder = tmp_path_factory.mktemp("pod")
    workspace, secrets = folder / "workspace", folder / "practicum"
    run = workspace / "experiments/experiments" / build_step().run_id
    for made in (run, secrets, workspace / "data", workspace / "linked", workspace / "deep/train"):
        made.mkdir(parents=True)
    (secrets / "token").write_text(SECRET)
    (workspace / "data/train.jsonl").write_text("{}\n")
    (workspace / "data/again.jsonl").symlink_to("train.jsonl")
    (workspace / "link.jsonl").symlink_to(secrets / "token")
    (workspace / "way").symlink_to(secrets)
    (workspace / "linked/a-loop").symlink_to("a-loop")
    (workspace / "linked/train.jsonl").symlink_to("../../practicum/token")
    (workspace / "deep/train/00.jsonl").symlink_to(secrets / "token")
    (run / "made").symlink_to(workspace / "data")
    (run / "away").symlink_to(secrets)
    (run / "x:..").mkdir()
    return folder


def check(pod, monkeypatch, text, option="data"):
    monkeypatch.setenv("HOME", str(pod / "practicum"))
    step = build_step("snapshot" if option == "data" else "model")
    step = step.model_copy(update={"config": step.config | {option: text.format(pod=pod)}})
    return check_assignment(step, pod / "workspace/experiments")


FINE = {
    "generated": "builtin:tickets?rows=200",
    "a hub's": "hf://datasets/owner/name",
    "a store's": "s3://bucket/folder",
    "a file": "{pod}/workspace/data/train.jsonl",
    "a folder with a link that stays": "file://{pod}/workspace/data",
    "nothing lies there": "{pod}/nothing",
    "a name": "tickets",
    "too long a name": "x" * 5000,
    "nobody's home": "~nobody-here/x",
    "made by an earlier step": "run:stages/sft/artifacts/merged",
}


@pytest.mark.parametrize("text", FINE.values(), ids=FINE)
def test_what_stays_in_the_workspace_may_run(pod, monkeypatch, text):
    assert check(pod, monkeypatch, text).config.data == text.format(pod=pod)


def test_the_claim_of_the_workspace_is_where_it_is_mounted(pod, monkeypatch):
    assert check(pod, monkeypatch, "pvc://workspace/data").config.data == f"file://{pod}/workspace/data"


REFUSED = {
    "the token": ("{pod}/practicum/token", "outside the workspace"),
    "its folder": ("{pod}/practicum", "outside the workspace"),
    "everything": ("/", "outside the workspace"),
    "by its address": ("file://{pod}/practicum/token", "outside the workspace"),
    "an address in capitals": ("FILE://{pod}/practicum/token", "outside the workspace"),
    "one slash": ("file:{pod}/practicum/token", "outside the workspace"),
    "four slashes": ("file:///{pod}/practicum/token", "outside the workspace"),
    "percent signs": ("file://{pod}/practicum/%74oken", "outside the workspace"),
    "percent signs for dots": ("file://{pod}/workspace/%2e%2e/practicum/token", "outside the workspace"),
    "with a query": ("file://{pod}/practicum/token?columns=a", "outside the workspace"),
    "dots": ("{pod}/workspace/../practicum/token", "outside the workspace"),
    "dots from the run": ("../../../../practicum/token", "outside the workspace"),
    "dots behind the claim": ("pvc://workspace/../practicum/token", "outside the workspace"),
    "dots behind a colon": ("x:../../../../../../practicum/token", "outside the workspace"),
    "home": ("~/token", "outside the workspace"),
    "a link": ("{pod}/workspace/link.jsonl", "outside the workspace"),
    "a link on the way": ("pvc://workspace/way/token", "outside the workspace"),
    "a folder with a link": ("pvc://workspace/linked", "outside the workspace"),
    "a folder with a link, from the run": ("../../../linked", "outside the workspace"),
    "a link in a split's folder": ("pvc://workspace/deep", "outside the workspace"),
    "another claim": ("pvc://other/data", "pvc://workspace/PATH"),
    "the claim in capitals": ("PVC://workspace/data", "pvc://workspace/PATH"),
    "the claim itself": ("pvc://workspace", "pvc://workspace/PATH"),
    "out of the run": ("run:../../../../practicum/token", "leaves the run directory"),
    "absolute in the run": ("run:{pod}/practicum/token", "leaves the run directory"),
    "a link in the run": ("run:away/token", "leaves the run directory"),
    "a chain": ("hf://datasets/a/b::file://{pod}/practicum/token", "chains addresses"),
    "a chain in a store": ("s3://a/b::file://{pod}/practicum/token", "chains addresses"),
}


@pytest.mark.parametrize(("text", "said"), REFUSED.values(), ids=REFUSED)
@pytest.mark.parametrize("option", ["data", "model"])
def test_what_leaves_the_workspace_is_refused(pod, monkeypatch, option, text, said):
    with pytest.raises(ConfigError) as caught:
        check(pod, monkeypatch, text, option)
    assert said in f"{caught.value}"
    assert option in caught.value.detail or "leaves the run" in caught.value.detail
    assert SECRET not in str(caught.value)


pieces = st.lists(
    st.sampled_from(["..", ".", "practicum", "token", "workspace", "way", "link.jsonl", "linked", "data", "", "~"]),
    max_size=9,
)
spellings = st.sampled_from([str, quote, lambda path: quote(path).replace(".", "%2e"), lambda path: f"{path}?x=1"])
starts = st.sampled_from(["", "{pod}/", "file://{pod}/", "file:{pod}/", "pvc://workspace/", "FILE://{pod}/", "~/"])


@given(starts, pieces, spellings)
@settings(suppress_health_check=[HealthCheck.function_scoped_fixture], max_examples=300)
def test_no_spelling_of_a_path_reaches_the_token(pod, monkeypatch, start, parts, spell):
    """Whatever is let through opens, read as the stages read it, no file outside the workspace."""
    from practicum_jobs.datasets.sources import open_source  # noqa: PLC0415 - this test's alone

    try:
        data = check(pod, monkeypatch, start + spell("/".join(parts))).config.data
    except ConfigError:
        return
    run = pod / "workspace/experiments/experiments" / build_step().run_id
    monkeypatch.chdir(run)
    files, said = {}, ""
    try:
        files = open_source(data, pod / "cache").files
    except PracticumError as error:  # it names nothing that a stage can read
        said = str(error)
    assert SECRET not in said
    opened = [file.resolve() for split in files.values() for file in split]
    assert all(file.is_relative_to(pod / "workspace") for file in opened)


def test_a_step_that_the_unit_has_not_is_refused(pod):
    step = build_step()
    for change in ({"step": "sft"}, {"stage": "sft"}, {"step": "report"}):
        with pytest.raises(ConfigError, match="one of model, snapshot, evaluate, report"):
            check_assignment(step.model_copy(update=change), pod / "workspace/experiments")


def test_a_comparison_with_a_control_is_refused(pod):
    with pytest.raises(ConfigError, match="control"):
        check_assignment(build_step(control="latest"), pod / "workspace/experiments")


def test_every_wrong_option_is_named(pod):
    step = build_step()
    step = step.model_copy(update={"config": {"seed": -1, "modl": "x"}})
    with pytest.raises(ConfigError, match=r"model\.seed: .*; model\.modl: unknown key; did you mean 'model'"):
        check_assignment(step, pod / "workspace/experiments")
