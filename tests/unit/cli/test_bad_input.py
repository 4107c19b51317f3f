"""Each kind of bad input gets one message (what, where, how to mend), the right exit code and no traceback."""

from __future__ import annotations

import errno
import os
import re
from pathlib import Path
from urllib.parse import unquote

import pytest

from practicum_cli import session
from practicum_cli.request import normalize_uri
from practicum_cli.weekjob_file import read_weekjob
from practicum_core.errors import ConfigError
from practicum_core.weekjob import Metadata, WeekJob, WeekJobSpec

GOOD = """\
apiVersion: practicum.dev/v1alpha1
kind: WeekJob
metadata: {name: week-01}
spec:
  unit: experiments
"""
TABLE = {
    "unknown command": (["runn"], 2, "did you mean 'run'"),
    "unknown option": (["run", "week-01", "--prfile", "quick"], 2, "--profile"),
    "unknown value": (["run", "week-01", "--profile", "fast"], 2, "quick"),
    "no week": (["run"], 2, "name a week"),
    "unknown week": (["run", "week-3x"], 2, "did you mean 'week-03'"),
    "unknown unit": (["run", "sfft"], 2, "did you mean 'sft'"),
    "week of another variant": (["run", "week-10", "--variant", "8"], 2, "unknown unit 'week-10'"),
    "unknown step": (["run", "week-01", "--set", "evaluat.limit=3"], 2, "did you mean 'evaluate'"),
    "unknown option of a step": (["run", "week-01", "--set", "evaluate.limt=3"], 2, "did you mean 'limit'"),
    "bad value of an option": (["run", "week-01", "--set", "evaluate.limit=0"], 2, "evaluate.limit"),
    "no value": (["run", "week-01", "--set", "evaluate.limit"], 2, "STEP.KEY=VALUE"),
    "missing data": (["run", "week-01", "--data", "no/rows.jsonl"], 3, "DataMissing"),
    "mistyped scheme": (["run", "week-01", "--data", "builtn:tickets"], 3, "did you mean 'builtin:'"),
    "missing model": (["run", "week-01", "--model", "no/model"], 2, "ModelMissing"),
    "missing file": (["run", "week-01.yaml"], 2, "no such file"),
    "no such run to resume": (["run", "--resume", "latest"], 2, "no such run"),
    "options with resume": (["run", "--resume", "latest", "--seed", "3"], 2, "--resume takes no"),
    "no such control": (["run", "week-01", "--control", "latest"], 2, "no such run"),
    "no such run": (["status", "20260102t030405-000000"], 2, "no run"),
    "no pointer": (["pointer", "show", "best"], 2, "no pointer 'best'"),
    "pointer outside": (["pointer", "set", "../x", "latest"], 2, "is no pointer name"),
    "no folder of runs": (["summarize", "nowhere"], 2, "no such folder"),
    "a path that leaves the run": (
        ["run", "week-03", "--set", "inference.adapter=run:stages/../../../etc"],
        2,
        "leaves the run directory",
    ),
    "a path of the machine as one of the run": (
        ["run", "week-03", "--set", "inference.adapter=run:/etc/passwd"],
        2,
        "leaves the run directory",
    ),
    "options of a run for an exercise": (
        ["dossier", "new", "exercise:nan-row", "--timeout", "5", "--good", "latest"],
        2,
        "exercise:nan-row does not use --good, --timeout",
    ),
    "options of commits for rows": (
        ["dossier", "bisect", "nan-row", "--bad-commit", "HEAD~1"],
        2,
        "a search over rows does not use --bad-commit",
    ),
    "a name that is no text": (["audit", "\udcff.jsonl"], 3, "not UTF-8"),
    "no name of a run": (["run", "--resume", ""], 2, "no run ''"),
    "true for a number": (["run", "week-01", "--set", "evaluate.limit=true"], 2, "evaluate.limit: input should be"),
    "an infinite number": (["run", "week-03", "--set", "sft.learning_rate=inf"], 2, "sft.learning_rate"),
    "a seed beyond NumPy's": (["run", "week-01", "--seed", str(2**32)], 2, "evaluate.seed"),
    "empty data": (["run", "week-01", "--data", ""], 3, "the name is empty"),
    "empty model": (["run", "week-01", "--model", ""], 2, "the name is empty"),
    "a device as data": (["audit", "/dev/zero"], 3, "neither a file nor a folder"),
    "a name too long": (["audit", "a" * 5000], 3, "File name too long"),
    "audit of a missing file": (["audit", "nothing.jsonl"], 3, "DataMissing"),
}


@pytest.mark.parametrize(("arguments", "code", "text"), TABLE.values(), ids=TABLE.keys())
def test_bad_input(workplace, command, arguments, code, text):
    got, out, err = command(*arguments)
    assert got == code
    assert text in err
    assert err.startswith("error: ")
    assert "\n  fix: " in err
    assert "Traceback" not in out + err
    assert not list(workplace.glob("experiments/*/*"))


@pytest.mark.parametrize("option", [["-n", "student-01"], ["--cluster"], ["--context=class"]])
@pytest.mark.parametrize(
    "arguments",
    [
        ["pointer", "set", "best", "latest"],
        ["pointer", "show"],
        ["pointer", "rollback", "best"],
        ["verify", "latest"],
        ["diff", "a", "b"],
        ["summarize"],
        ["run", "week-01"],
    ],
)
def test_a_command_about_this_machine_says_so_when_it_is_asked_about_a_cluster(workplace, command, arguments, option):
    code, _, err = command(*arguments, *option)
    assert code == 2
    assert "is about runs of this machine" in err
    assert "take -n NAMESPACE" in err
    assert not list(workplace.glob("experiments/*"))


@pytest.mark.parametrize(
    ("weeks", "splits", "missing", "file"),
    [
        (["week-03"], ["train"], "'validation' (read by sft and inference), 'test' (read by evaluate)", "test.csv"),
        (
            ["week-01", "week-02", "week-03"],
            ["train", "test"],
            "'validation' (read by sft and inference)",
            "validation",
        ),
        (["week-04"], ["train", "test"], "'control' (read by evaluate)", "control.csv"),
        (["evaluate", "--set", "evaluate.split=tset"], ["train", "test", "control"], "did you mean 'test'", "tset"),
        (["data-and-sft", "--variant", "8"], ["train", "validation"], "'test' (read by evaluate)", "test.csv"),
    ],
)
def test_a_missing_split_is_told_before_anything_starts(workplace, command, weeks, splits, missing, file):
    folder = workplace / "my data"
    folder.mkdir()
    for split in splits:
        (folder / f"{split}.v2.csv").write_text("question,answer\nWhy?,So.\n")
    code, _, err = command("run", *weeks, "--data", "my data", "--model", "hf://nobody/has-this-model")
    assert code == 3
    assert missing in err
    assert file in err.partition("fix: add ")[2]
    assert sorted(path.name for path in workplace.iterdir()) == ["model", "my data"]


@pytest.mark.parametrize("target", ["experiments", "experiments/experiments"])
def test_out_is_a_file(workplace, command, target):
    path = workplace / target
    path.parent.mkdir(exist_ok=True)
    path.write_text("mine")
    code, _, err = command("run", "week-01", "--profile", "quick")
    assert code == 4
    assert "PermissionDenied" in err
    assert str(target).split("/")[0] in err
    assert path.read_text() == "mine"


def test_no_write_permission(workplace, command, is_root):
    if is_root:
        pytest.skip("needs a user whom permissions bind; this one is root")
    (workplace / "experiments").mkdir(mode=0o500)
    code, _, err = command("run", "week-01", "--profile", "quick")
    assert (code, "PermissionDenied" in err) == (4, True)


@pytest.mark.parametrize(
    ("number", "reason"),
    [(errno.ENOSPC, "DiskFull"), (errno.EROFS, "PermissionDenied"), (errno.EACCES, "PermissionDenied")],
)
def test_faults_of_the_disk(workplace, command, monkeypatch, number, reason):
    def refuse(source, target):
        raise OSError(number, os.strerror(number), str(target))

    monkeypatch.setattr(os, "replace", refuse)
    code, _, err = command("run", "week-01", "--profile", "quick")
    assert code == 4
    assert f"error: {reason}: " in err
    assert "Traceback" not in err
    assert not list(workplace.glob("experiments/experiments/*"))


def test_an_internal_fault_is_one_sentence_with_its_trace_in_a_file(workplace, command, monkeypatch):
    monkeypatch.setattr(session, "build_environment", lambda *_: 1 / 0)
    code, _, err = command("run", "week-01", "--profile", "quick")
    assert code == 70
    assert err.count("\n") <= 3
    assert "Traceback" not in err
    trace = Path(re.search(r"trace is in (\S+)", err)[1])
    assert "ZeroDivisionError" in trace.read_text()
    trace.unlink()


def test_every_problem_of_a_file_is_named_with_its_line(workplace, command):
    text = GOOD.replace(
        "unit: experiments", "unit: sft\n  sed: 3\n  profile: slow\n  set:\n    sft.lora_rr: 4\n    sf.x: 1"
    )
    (workplace / "mine.yaml").write_text(text)
    code, _, err = command("run", "mine.yaml")
    assert code == 2
    for part in (
        "mine.yaml:6: spec.sed: unknown key; did you mean 'seed'?",
        "mine.yaml:7: spec.profile",
        "mine.yaml:9: spec.set: unknown option 'sft.lora_rr'; did you mean 'lora_r'?",
        "mine.yaml:10: spec.set: unknown step in 'sf.x'",
    ):
        assert part in err


@pytest.mark.parametrize(
    ("text", "message"),
    [
        ("", "expected a WeekJob"),
        ("- 1", "expected a WeekJob"),
        ("a: [", "not YAML"),
        ("\ta: 1", "not YAML"),
        (GOOD.replace("unit: experiments", "unit: sfft"), ":5: spec.unit: unknown unit 'sfft'; did you mean 'sft'?"),
        (GOOD.replace("unit: experiments", "seed: 3"), "spec.unit: missing"),
        (GOOD.replace("kind: WeekJob", "kind: Job"), ":2: kind"),
        (GOOD.replace("week-01", "Week_01"), ":3: metadata.name"),
        (GOOD + "  model: {ur: x}\n", "did you mean 'uri'?"),
        (GOOD + "  resources: {gpu: {slice: 1}}\n", "did you mean 'slices'?"),
        (GOOD + "  activeDeadlineSecond: 3\n", "did you mean 'activeDeadlineSeconds'?"),
        (GOOD + "  set: {evaluate.limit: {a: 1}}\n", ":6: spec.set.evaluate.limit"),
        (GOOD + "  set: [1]\n", ":6: spec.set"),
        (GOOD + "  variant: 9\n", ":6: spec.variant"),
    ],
)
def test_bad_files(workplace, text, message):
    path = workplace / "mine.yaml"
    path.write_text(text)
    with pytest.raises(ConfigError) as caught:
        read_weekjob(path)
    assert message in caught.value.detail
    assert str(path) in caught.value.detail


def test_a_file_that_is_not_text(workplace):
    path = workplace / "mine.yaml"
    path.write_bytes(b"\xff\xfe\x00")
    with pytest.raises(ConfigError, match="cannot be read"):
        read_weekjob(path)


@pytest.mark.parametrize("file", ["record.json", "config.yaml"])
@pytest.mark.parametrize(
    "arguments",
    [
        ["status", "latest"],
        ["evidence"],
        ["diff", "latest", "latest"],
        ["pointer", "set", "best", "latest"],
        ["verify"],
    ],
    ids=" ".join,
)
def test_a_finished_run_with_a_cut_off_file_is_not_read_as_whole(finish_run, command, file, arguments):
    path = finish_run() / "stages" / "evaluate" / file
    path.write_bytes(path.read_bytes()[:40])
    code, _, err = command(*arguments)
    assert code == 3
    assert f"error: RunIncomplete: {path}: " in err


@pytest.mark.parametrize("file", ["record.json", "config.yaml"])
def test_tables_name_a_run_with_a_cut_off_file_as_such(finish_run, command, file):
    path = finish_run() / "stages" / "evaluate" / file
    path.write_bytes(path.read_bytes()[:40])
    for arguments in (["status"], ["summarize"]):
        code, out, _ = command(*arguments)
        assert code == 0
        assert "RunIncomplete" in out
        assert "Succeeded" not in out


def test_a_run_with_a_broken_status_goes_on(finish_run, command):
    path = finish_run() / "status.json"
    path.write_bytes(path.read_bytes()[:40])
    assert command("status", "latest")[0] == 3
    code, out, err = command("run", "--resume", "latest")
    assert (code, "Succeeded" in out) == (0, True), err
    assert path.with_name("status.broken.json").exists()
    assert command("status", "latest")[0] == 0


@pytest.mark.parametrize("file", ["record.json", "config.yaml"])
def test_a_step_with_a_cut_off_file_is_done_again(finish_run, execute, command, file):
    run = finish_run()
    path = run / "stages" / "evaluate" / file
    path.write_bytes(path.read_bytes()[:40])
    assert execute(run) == 0
    assert path.with_name("record.broken.json").exists()
    assert command("pointer", "set", "best", "latest")[0] == 0


def test_a_run_that_nothing_can_mend_is_not_said_to_go_on(finish_run, command):
    path = finish_run() / "weekjob.yaml"
    path.write_bytes(path.read_bytes()[:40])
    code, _, err = command("run", "--resume", "latest")
    assert code == 3
    assert err.endswith("fix: start a new run\n")


def test_a_finished_run_without_a_pack_is_not_said_to_need_finishing(finish_run, command):
    run = finish_run()
    (run / "evidence" / "index.html").unlink()
    code, _, err = command("evidence")
    assert code == 3
    assert f"look in {run / 'stages'}" in err


def test_samples_and_events_with_odd_ends_are_read(finish_run, command):
    run = finish_run()
    for name in ("events.jsonl", "stages/evaluate/samples.jsonl"):
        with (run / name).open("ab") as handle:
            handle.write('{"event": "environment_ready", "text": "a\u2028b"}\n{"event": "environment_ready"'.encode())
    code, out, err = command("run", "--resume", "latest")
    assert code == 0, err
    assert "Succeeded" in out


def test_a_broken_pointer_can_be_set_again(finish_run, command):
    run = finish_run()
    command("pointer", "set", "best", "latest", "--why", "first\u2028of two")
    path = run.parents[1] / "pointers" / "best.json"
    path.write_text('{"na')
    assert command("pointer", "show", "best")[0] == 3
    assert command("pointer", "set", "best", "latest")[0] == 0
    code, out, _ = command("pointer", "show", "best")
    assert code == 0
    assert "first" in out


def test_a_file_name_means_itself(workplace):
    path = workplace / "a%20b#c?d 行.jsonl"
    path.write_text("{}")
    uri = normalize_uri(path.name, "data")
    assert unquote(uri.removeprefix("file://")) == str(path)
    assert "行" in uri


def test_the_working_folder_is_gone(workplace, command, monkeypatch, tmp_path):
    (workplace / "rows.jsonl").write_text("{}")
    gone = tmp_path / "gone"
    gone.mkdir()
    monkeypatch.chdir(gone)
    gone.rmdir()
    code, _, err = command("audit", workplace / "rows.jsonl", "--model", "none")
    assert (code, "error: PermissionDenied: " in err) == (4, True)


def test_a_folder_that_cannot_be_made(workplace, command):
    code, _, err = command("init", "/proc/practicum")
    assert (code, "error: PermissionDenied: /proc/practicum" in err) == (4, True)
    assert not list(workplace.glob("configs"))


def test_no_home_and_no_cache(workplace, command, monkeypatch):
    for name in ("PRACTICUM_CACHE", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)

    def refuse(_):
        raise RuntimeError("Could not determine home directory.")

    monkeypatch.setattr(Path, "home", classmethod(refuse))
    code, _, err = command("doctor")
    assert (code, "set PRACTICUM_CACHE" in err) == (4, True)
    assert "Traceback" not in err


def test_a_cache_that_is_a_file(workplace, command, monkeypatch):
    (workplace / "cache").write_text("mine")
    monkeypatch.setenv("PRACTICUM_CACHE", str(workplace / "cache"))
    code, out, _ = command("doctor")
    assert (code, "is a file, not a folder" in out) == (4, True)


def test_an_internal_fault_where_no_trace_can_be_kept(workplace, command, monkeypatch):
    def refuse(*_, **__):
        raise FileNotFoundError(errno.ENOENT, "No usable temporary directory found")

    monkeypatch.setattr(session, "build_environment", lambda *_: 1 / 0)
    monkeypatch.setattr("tempfile.NamedTemporaryFile", refuse)
    code, _, err = command("run", "week-01", "--profile", "quick")
    assert code == 70
    assert "ZeroDivisionError: division by zero (no trace was kept" in err


def test_a_service_of_a_cluster_is_refused_on_a_laptop(tmp_path):
    serving = {"engine": "kserve", "maxReplicas": 2}
    weekjob = WeekJob(metadata=Metadata(name="service"), spec=WeekJobSpec(unit="service", serving=serving))
    with pytest.raises(ConfigError, match="kserve is a service of a cluster") as refusal:
        session.start_run(tmp_path, weekjob)
    assert "practicum submit" in refusal.value.fix
    assert list(tmp_path.iterdir()) == []
