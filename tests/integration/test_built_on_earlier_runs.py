"""Weeks 3 to 5 with real stages on a tiny model, built on earlier runs in every way that a reference names one."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys

import pytest

from practicum_core.content_hash import hash_path
from practicum_core.layout import RunLayout
from practicum_core.lineage import read_lineage
from practicum_core.pointers import Pointers
from practicum_core.stages.compare import CompareRecord
from practicum_core.stages.evaluate import EvaluateRecord
from practicum_core.stages.model import ModelLock
from practicum_core.step_files import read_record
from run_folder import write_finished_run

EARLIER = "20250102t030405-0a1b2c"
MERGED = "stages/sft/artifacts/merged"
SMALL = {
    "sft.engine": "flat",
    "sft.max_steps": 2,
    "sft.batch_size": 2,
    "sft.train_rows": 8,
    "sft.validation_rows": 2,
    "sft.num_sample_prompts": 0,
    "sft.max_truncation_ratio": 1,
    "inference.num_prompts": 2,
    "inference.max_new_tokens": 4,
    "evaluate.limit": 4,
    "evaluate.max_new_tokens": 4,
}


def practicum(folder, *words):
    command = [sys.executable, "-m", "practicum_cli.main", *words]
    return subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=900)


@pytest.fixture
def merged(tmp_path, tiny_model_dir):
    """What an earlier week 3 exported: here the tiny model as it is."""
    run = write_finished_run(tmp_path / "experiments/sft" / EARLIER, "sft")
    shutil.copytree(tiny_model_dir, run.root / MERGED)
    Pointers(tmp_path / "experiments").set("best", f"sft/{EARLIER}", "")
    return run.root / MERGED


@pytest.mark.timeout(900)
def test_week_3_runs_on_what_an_earlier_week_3_exported(tmp_path, merged):
    small = [word for key, value in SMALL.items() for word in ("--set", f"{key}={value}")]
    options = ("--profile", "quick", "--data", "builtin:tickets?rows=200", *small)
    named = ("--model", "latest:sft", "--set", "evaluate.candidate=pointer:best")
    named += ("--set", f"inference.merged=run:{EARLIER}/merged", "--set", "inference.adapter=")
    done = practicum(tmp_path, "run", "week-03", *options, *named)
    assert "/evidence/index.html" in done.stdout, done.stdout + done.stderr
    (path,) = (one for one in (tmp_path / "experiments/sft").iterdir() if one.name != EARLIER)
    run = RunLayout(path)
    lineage = read_lineage(run)
    assert {one.reference for one in lineage.built_on} == {"latest:sft", "pointer:best", f"run:{EARLIER}/merged"}
    assert {(one.run, one.path, one.sha256) for one in lineage.built_on} == {
        (f"sft/{EARLIER}", MERGED, hash_path(merged))
    }
    lock = ModelLock.model_validate_json(run.model_lock.read_bytes())
    assert (lock.uri, lock.num_parameters > 0) == ("latest:sft", True)
    record = read_record(run, "evaluate")
    assert isinstance(record, EvaluateRecord)
    assert (record.model, record.candidate) == ("latest:sft", "pointer:best")
    assert record.model_sha256 == record.candidate_sha256 == lock.sha256
    assert json.loads(run.evidence_json.read_text())["built_on"] == lineage.model_dump(mode="json")["built_on"]
    assert f"--model run:{EARLIER}" in json.loads(run.evidence_json.read_text())["reproduce"]


def test_verify_executes_again_on_the_very_files_that_a_run_was_built_on(tmp_path, merged):
    earlier = write_finished_run(tmp_path / "experiments/data" / EARLIER, "data")
    clean = earlier.stage("audit").artifacts / "clean"
    clean.mkdir(parents=True)
    (clean / "train.jsonl").write_text(
        "".join(json.dumps({"instruction": f"Name {n}", "output": f"thing {n}"}) + "\n" for n in range(9))
    )
    options = ("--profile", "quick", "--set", "audit.workers=1", "--set", "audit.clean_copy=false")
    done = practicum(tmp_path, "run", "week-02", "--model", "pointer:best", "--data", "latest:data", *options)
    assert "/evidence/index.html" in done.stdout, done.stdout + done.stderr
    verified = practicum(tmp_path, "verify", "latest")
    assert verified.returncode == 0, verified.stdout + verified.stderr
    (again,) = tmp_path.glob("experiments/data/*/verify/data/*")
    lineage = read_lineage(RunLayout(again))
    assert lineage == read_lineage(RunLayout(again.parents[2]))
    assert {one.run for one in lineage.built_on} == {f"data/{EARLIER}", f"sft/{EARLIER}"}


@pytest.mark.timeout(900)
def test_week_4_compares_what_week_3_exported_with_its_base(tmp_path, merged):
    """The same tiny model twice, on four rows: no week says more of them than that they are too few."""
    early = practicum(tmp_path, "run", "week-05", "--profile", "quick")
    assert (early.returncode, "run week-04 first" in early.stderr + early.stdout) == (2, True)
    small = ("evaluate.limit=4", "evaluate.control_limit=4", "evaluate.max_new_tokens=4")
    options = ("--profile", "quick", "--data", "builtin:tickets?rows=200", "--model", str(merged))
    done = practicum(tmp_path, "run", "week-04", *options, *(word for one in small for word in ("--set", one)))
    assert done.returncode == 1, done.stdout + done.stderr
    assert "Verdict: underpowered" in done.stdout
    (path,) = (tmp_path / "experiments/evaluate").iterdir()
    run = RunLayout(path)
    assert {one.reference for one in read_lineage(run).built_on} == {"latest:sft/merged"}
    record = read_record(run, "compare")
    assert isinstance(record, CompareRecord)
    assert (record.verdict, record.control_verdict) == ("underpowered", "underpowered")
    assert record.verdicts[0].p_permutation == 1
    gates = {gate["name"]: gate["passed"] for gate in json.loads(run.status.read_text())["gates"]}
    known = {"no_leakage": True, "enough_items": False, "improved": False, "control_kept": True, "judge_agrees": True}
    assert gates == known
    assert {"analyze", "blind", "judge"} <= {step.parent.name for step in path.glob("stages/*/record.json")}
    assert "样本不足" in run.evidence_html.read_text(encoding="utf-8")
    check_week_5(tmp_path, options, path)


def check_week_5(folder, options, week_4):
    """Run week 5 on the failures of week 4: too few pairs for DPO, so that the fine-tuned model is passed on."""
    small = {name: value for name, value in SMALL.items() if name.startswith("sft.")}
    small |= {"sft.num_epochs": 1, "iterate.train_rows": 8, "iterate.fresh_rows": 4, "evaluate-fresh.control_limit": 4}
    small |= {"evaluate-fresh.max_new_tokens": 4, "evaluate-seen.max_new_tokens": 4}
    done = practicum(
        folder,
        "run",
        "week-05",
        *options,
        *(word for one in small.items() for word in ("--set", "=".join(map(str, one)))),
    )
    assert "/evidence/index.html" in done.stdout, done.stdout + done.stderr
    (path,) = (folder / "experiments/iterate").iterdir()
    run = RunLayout(path)
    built_on = {one.reference: one.run for one in read_lineage(run).built_on}
    failures = f"evaluate/{week_4.name}"
    assert built_on == {
        "latest:evaluate/stages/analyze/failures.jsonl": failures,
        "latest:evaluate/stages/evaluate/samples.jsonl": failures,
        "latest:sft/merged": f"sft/{EARLIER}",
    }
    repaired, preferred = read_record(run, "iterate"), read_record(run, "dpo")
    assert [decision.is_yes for decision in repaired.decisions] == [True, False]
    assert read_record(run, "sft").num_steps == 2
    assert preferred.skipped == repaired.decisions[1].list_reasons()
    merged = run.root / "stages/sft/artifacts/merged"
    assert hash_path(run.root / "stages/dpo/artifacts/merged") == hash_path(merged)
    gates = {gate["name"]: gate["passed"] for gate in json.loads(run.status.read_text())["gates"]}
    assert gates["lineage"] is gates["no_leakage_enlarged"] is gates["control_kept_again"] is True
    page = run.evidence_html.read_text(encoding="utf-8")
    assert "its failures were looked at, and 4 of its rows are trained on now" in page
    assert "数据如何修复" in page
