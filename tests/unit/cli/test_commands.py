"""The commands over finished runs."""

from __future__ import annotations

import csv
import io
import json
import os
import subprocess
import threading
import time
from pathlib import Path

import pytest
import yaml

from practicum_cli.template import FILES
from practicum_cli.weekjob_file import read_weekjob
from practicum_core.curriculum import UNITS, VARIANTS
from practicum_core.layout import RunLayout
from practicum_core.pointers import Pointers
from practicum_core.run_folders import iter_run_dirs
from practicum_core.stages import STAGES
from practicum_core.stages.evaluate import EvaluateConfig
from practicum_core.weekjob import WeekJob


def test_status_lists_runs_and_shows_one(finish_run, command):
    path = finish_run()
    code, out, _ = command("status")
    assert (code, path.name in out, "Succeeded" in out) == (0, True, True)
    code, out, _ = command("status", "latest")
    assert code == 0
    assert "gate passed: no_leakage (0, 0)" in out
    document = json.loads(command("status", path.name[:12], "--json")[1])
    assert document["phase"] == "Succeeded"
    assert [stage["name"] for stage in document["stages"]] == ["model", "snapshot", "evaluate", "report"]


def test_status_tells_an_interrupted_run(finish_run, command):
    path = finish_run()
    status = json.loads((path / "status.json").read_text())
    (path / "status.json").write_text(json.dumps({**status, "phase": "Running"}))
    out = command("status", "latest")[1]
    assert "interrupted (was Running)" in out
    assert f"practicum run --resume {path.name}" in out


def test_status_lists_a_half_written_run_as_such(finish_run, command):
    path = finish_run()
    (path / "status.json").write_text('{"phase": "Succ')
    code, out, _ = command("status")
    assert (code, "RunIncomplete" in out) == (0, True)
    assert command("status", "latest")[0] == 3


def test_logs(finish_run, command):
    path = finish_run()
    assert command("logs", "latest", "model")[1] == "model says hello\n"
    assert "snapshot: snapshot says hello" in command("logs", path.name)[1]
    code, _, err = command("logs", "latest", "modl")
    assert (code, "did you mean 'model'?" in err) == (2, True)


def test_logs_follow_until_the_run_ends(finish_run, command):
    path = finish_run()
    layout = RunLayout(path)

    def write_slowly():
        with layout.lock.open("a") as lock, layout.stage("model").log.open("a") as log:
            import fcntl  # noqa: PLC0415 - the writer's own business

            fcntl.flock(lock, fcntl.LOCK_EX)
            started.set()
            for number in range(3):
                log.write(f"line {number} ")
                log.flush()
                time.sleep(0.2)
                log.write("ends\n")
                log.flush()

    started = threading.Event()
    writer = threading.Thread(target=write_slowly)
    writer.start()
    started.wait()
    out = command("logs", "latest", "model", "--follow")[1]
    writer.join()
    assert out.splitlines() == ["model says hello", "line 0 ends", "line 1 ends", "line 2 ends"]


def test_evidence(finish_run, command):
    path = finish_run()
    assert command("evidence", "--path")[1] == f"{path}/evidence/index.html\n"
    assert "gate passed: no_leakage" in command("evidence", "latest:experiments")[1]
    (path / "evidence" / "index.html").unlink()
    code, _, err = command("evidence")
    assert (code, "RunIncomplete" in err) == (3, True)


def test_diff_counts_factors(finish_run, command):
    finish_run()
    finish_run()
    first, second = (path.name for path in iter_run_dirs(Path("experiments")))
    code, out, _ = command("diff", first, second)
    assert (code, out.splitlines()[0]) == (0, "0 factors differ")
    third = finish_run(seed=8)
    code, out, _ = command("diff", first, third.name)
    assert (code, out.splitlines()[0]) == (0, "1 factor differs: seed")
    fourth = finish_run(seed=8, overrides=("evaluate.batch_size=4",))
    code, out, _ = command("diff", first, fourth.name)
    assert (code, out.splitlines()[0]) == (1, "2 factors differ: evaluate.batch_size, seed")
    code, out, _ = command("diff", first, fourth.name, "--json")
    assert (code, json.loads(out)["factors"]) == (1, 2)


def test_an_unfair_comparison_is_refused_before_anything_starts(finish_run, command, workplace):
    control = finish_run()
    before = sorted(workplace.rglob("*"))
    options = ("--profile", "quick", "--model", "model", "--control", "latest")
    code, _, err = command("run", "week-01", *options, "--seed", "8", "--set", "evaluate.batch_size=4")
    assert code == 2
    assert "ComparisonUnfair: 2 factors differ" in err
    assert f"evaluate.batch_size: {EvaluateConfig().batch_size} -> 4" in err
    assert "seed: 7 -> 8" in err
    assert sorted(workplace.rglob("*")) == before
    (control / "stages" / "model" / "record.json").unlink()
    code, _, err = command("run", "week-01", *options, "--seed", "8")
    assert (code, "RunIncomplete" in err) == (3, True)


def test_summarize_in_three_formats(finish_run, command, workplace):
    finish_run()
    half = finish_run(seed=8)
    (half / "status.json").write_text("{")
    code, out, _ = command("summarize")
    assert (code, len(out.splitlines())) == (0, 4)
    assert "snapshot.unwaived_leaks" in out.splitlines()[0]
    rows = list(csv.DictReader(io.StringIO(command("summarize", "experiments", "--format", "csv")[1])))
    assert [row["phase"] for row in rows] == ["Succeeded", "RunIncomplete"]
    assert rows[0]["evaluate.num_rows"] == "60"
    assert rows[1]["evaluate.num_rows"] == ""
    assert command("summarize", "--format", "html", "--output", "table.html")[0] == 0
    page = (workplace / "table.html").read_text()
    assert page.count("<tr>") == 3
    assert '<meta name="viewport"' in page


def test_summarize_counts_seconds_in_which_several_steps_ran_once(finish_run, command):
    for path in finish_run().glob("stages/*/record.json"):
        times = {"started_at": "2026-01-02T03:04:05.000+00:00", "duration_s": 30.0}
        path.write_text(json.dumps(json.loads(path.read_text()) | times))
    [row] = csv.DictReader(io.StringIO(command("summarize", "--format", "csv")[1]))
    assert row["seconds"] == "30.0"


def test_a_pointer_moves_by_command_and_back_and_every_move_is_kept(finish_run, command):
    first, second = finish_run(), finish_run()
    names = [f"experiments/{path.name}" for path in (first, second)]
    assert command("pointer", "set", "best", first.name, "--why", "first")[0] == 0
    assert command("pointer", "set", "best", second.name, "--why", "better")[0] == 0
    assert command("pointer", "show")[1].splitlines()[1].split() == ["best", names[1]]
    assert command("pointer", "rollback", "best", "--why", "worse after all")[1] == f"best: {names[1]} -> {names[0]}\n"
    assert Pointers(Path("experiments")).read("best") == names[0]
    journal = Path("experiments/pointers/pointers.jsonl").read_text().splitlines()
    moves = [json.loads(line) for line in journal]
    assert [(move["action"], move["before"], move["after"], move["why"]) for move in moves] == [
        ("set", "", names[0], "first"),
        ("set", names[0], names[1], "better"),
        ("rollback", names[1], names[0], "worse after all"),
    ]
    assert all(move["who"] and move["time"] for move in moves)
    code, _, err = command("pointer", "rollback", "best")
    assert (code, "no earlier run" in err) == (2, True)


def test_a_pointer_leads_to_whole_runs_only(finish_run, command):
    path = finish_run()
    (path / "stages" / "evaluate" / "record.json").write_text("{")
    code, _, err = command("pointer", "set", "best", "latest")
    assert (code, "RunIncomplete" in err) == (3, True)
    assert not Path("experiments/pointers/best.json").exists()


def test_a_pointer_to_a_run_with_a_missed_gate_needs_a_word(finish_run, command):
    path = finish_run()
    status = json.loads((path / "status.json").read_text())
    status["gates"][0]["passed"] = False
    (path / "status.json").write_text(json.dumps(status))
    code, _, err = command("pointer", "set", "best", "latest")
    assert (code, "GateFailed" in err, "no_leakage" in err) == (1, True, True)
    assert command("pointer", "set", "best", "latest", "--despite-gates", "--why", "only one")[0] == 0
    assert Pointers(Path("experiments")).read_moves("best")[0].why == "only one (gates not passed: no_leakage)"


def test_a_move_that_was_cut_off_after_its_audit_line_is_finished(finish_run):
    first, second = finish_run(), finish_run()
    pointers = Pointers(Path("experiments"))
    pointers.set("best", f"experiments/{first.name}", "")
    pointers.set("best", f"experiments/{second.name}", "")
    Path("experiments/pointers/best.json").write_text(json.dumps({"run": f"experiments/{first.name}"}))
    assert pointers.rollback("best", "", lambda run: None).before == f"experiments/{second.name}"


def test_init_lays_down_a_template_that_works_and_overwrites_nothing(workplace, command):
    (workplace / "course").mkdir()
    (workplace / "course" / "README.md").write_text("mine")
    code, out, _ = command("init", "course")
    assert (code, "kept  course/README.md" in out) == (0, True)
    assert (workplace / "course" / "README.md").read_text() == "mine"
    assert all((workplace / "course" / target).is_file() for target in FILES.values())
    before = {path: path.read_bytes() for path in (workplace / "course").rglob("*") if path.is_file()}
    assert command("init", "course")[0] == 0
    assert {path: path.read_bytes() for path in before} == before
    configs = sorted((workplace / "course" / "configs").glob("*.yaml"))
    weekjobs = {path.stem: read_weekjob(path) for path in configs}
    one, other = (weekjobs[name].spec for name in ("week-03", "week-03-half-rate"))
    assert one.model_copy(update={"set": {}}) == other.model_copy(update={"set": {}})
    assert one.set != other.set
    code, out, _ = command("summarize", "course/experiments")
    assert (code, out.splitlines()[0].startswith("| unit | run |")) == (0, True)
    assert subprocess.run(["bash", "-n", "course/summarize.sh"], check=False).returncode == 0


def test_init_into_a_file(workplace, command):
    (workplace / "course").write_text("mine")
    code, _, err = command("init", "course")
    assert (code, "is a file" in err) == (4, True)


def test_weeks(command):
    code, out, _ = command("weeks")
    assert code == 0
    assert [line.split()[0] for line in out.splitlines()[1:11]] == [f"week-{number:02d}" for number in range(1, 11)]
    assert out.count("not in this version") == sum(not UNITS[unit].is_implemented for unit in VARIANTS[10])
    assert len([line for line in command("weeks", "--variant", "12")[1].splitlines() if line.startswith("week-")]) == 12
    out = command("weeks", "week-03")[1]
    assert "full|lora|qlora" in out
    assert "exact_match_delta (low end of 95%) > 0.2" in out


def test_doctor_names_every_stage(command, tmp_path, monkeypatch):
    # The real cache has a million files.
    monkeypatch.setenv("PRACTICUM_CACHE", str(tmp_path))
    (tmp_path / "envs" / "some").mkdir(parents=True)
    with (tmp_path / "envs" / "some" / "file").open("wb") as file:
        os.posix_fallocate(file.fileno(), 0, 110 << 20)
    (tmp_path / "envs" / "again").hardlink_to(tmp_path / "envs" / "some" / "file")
    code, out, _ = command("doctor", "--json")
    document = json.loads(out)
    assert f"0.1 GiB in {tmp_path}" in [check["found"] for check in document["machine"]]
    assert code == (4 if any(check["state"] == "missing" for part in document.values() for check in part) else 0)
    assert {"model", "snapshot", "audit", "sft", "evaluate", "inference", "report"} <= {
        check["name"] for check in document["stages"]
    }
    assert {"python", "cores", "memory", "GPU", "git", "gcc", "cache"} <= {
        check["name"] for check in document["machine"]
    }


def test_weekjob_of_a_run_is_a_file_that_runs(finish_run):
    path = finish_run(overrides=("evaluate.batch_size=4",))
    document = yaml.safe_load((path / "weekjob.yaml").read_text())
    weekjob = WeekJob.model_validate(document)
    assert weekjob.spec.set == {"evaluate.batch_size": 4}
    assert weekjob.spec.data is not None
    assert read_weekjob(path / "weekjob.yaml") == weekjob


def test_environment_holds_no_secret(finish_run, monkeypatch):
    monkeypatch.setenv("HF_TOKEN", "hf_averysecrettoken")
    monkeypatch.setenv("HF_ENDPOINT", "https://me:averysecretpassword@hub.example")
    path = finish_run()
    text = (path / "environment.json").read_text()
    assert "averysecret" not in text
    document = json.loads(text)
    assert document["variables"]["HF_ENDPOINT"] == "https://***@hub.example"
    assert set(document["locks"]) == {"base", "train"}
    assert document["packages"]["train"]["torch"]
    assert len(document["code"]["source_sha256"]) == 64


@pytest.mark.parametrize("name", ["a b", "数据"])
def test_paths_with_spaces_and_chinese_characters(workplace, finish_run, command, name):
    path = finish_run()
    target = workplace / name
    target.mkdir()
    (path.parents[1]).rename(target / "experiments")
    assert command("status", "latest", "--out", target / "experiments")[0] == 0


def test_the_headline_figures_of_a_summary_are_figures_that_stages_measure():
    assert all(set(spec.headlines) <= set(spec.metrics) for spec in STAGES.values())
