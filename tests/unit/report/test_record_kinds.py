"""Sections of the evidence pack that a stage gets by what its record extends, whatever the stage is called."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.gates import Comparison
from practicum_core.stages.calibration import CalibrationCheck, CalibrationRecord, CanaryRound
from practicum_core.stages.evaluate import EvaluationSample
from practicum_core.stages.findings import Finding, FindingsRecord
from practicum_core.stages.leaks import Leak, LeaksRecord
from practicum_core.stages.repair import Criterion, Decision, Origin, RepairRecord, SplitChange, SplitClaim
from practicum_core.stages.training import CheckpointInfo, TrainingRecord
from practicum_jobs.render.blocks import Disclosure, Facts, Notice, Table
from practicum_jobs.report.pack import build_sections
from practicum_jobs.report.reading import StepFiles, read_run
from practicum_jobs.report.repair import build_repair_section
from practicum_jobs.report.verdict import Pack, build_evidence


class DrillRecord(TrainingRecord):
    """What a trainer of the tests' own did."""


class ScreenRecord(FindingsRecord, LeaksRecord):
    """What a stage of the tests' own found in the rows and between the splits."""


class MendRecord(RepairRecord):
    """How a stage of the tests' own repaired data."""


def stamp(stage):
    times = {"started_at": "2026-01-02T03:04:05.000+00:00", "finished_at": "2026-01-02T03:04:06.000+00:00"}
    return {"stage": stage, "step": stage, "duration_s": 1.0, **times}


def build_pack_sections(run, *records):
    """Return the sections by name of a run whose steps left these records alone."""
    files = read_run(run.layout, "report")
    files = replace(files, steps=tuple(StepFiles(record.step, record.stage, record) for record in records))
    files = replace(files, data_lock=None)
    sections = build_sections(Pack(files, build_evidence(files), 12))
    return {section.slug: section for section in sections}


def test_a_new_trainer_gets_its_facts_and_checkpoints(make_sft_run):
    counts = {"num_steps": 7, "num_train_rows": 30, "num_trainable_parameters": 5, "num_parameters": 10}
    kept = [CheckpointInfo(step=5, validation_loss=0.5, path="stages/drill/checkpoints/step-000005")]
    record = DrillRecord(**stamp("drill"), **counts, method="preference", num_tokens=900, checkpoints=kept)
    blocks = build_pack_sections(make_sft_run(), record)["curves"].blocks
    assert "preference" in [fact.value for block in blocks if isinstance(block, Facts) for fact in block.facts]
    assert any(isinstance(block, Table) and len(block.rows) == 1 for block in blocks)


def test_a_new_audit_gets_its_findings_and_its_waivers(make_sft_run):
    finding = Finding(name="near_duplicate", num_rows=3, share_ratio=0.1, level="warn")
    leak = Leak(name="exact:train-test", num_rows=2, share_ratio=0.02, waived=True)
    counts = {"verdict": "warn", "num_rows": 30, "num_clean_rows": 27}
    record = ScreenRecord(**stamp("screen"), **counts, findings=[finding], leaks=[leak])
    sections = build_pack_sections(make_sft_run(), record)
    assert any(isinstance(block, Table) and len(block.rows) == 1 for block in sections["audit"].blocks)
    assert "exact:train-test" in repr(sections["problems"].blocks)


class UmpireRecord(CalibrationRecord):
    """How a judge of the tests' own did."""


def test_a_new_judge_gets_its_checks_its_canaries_and_what_it_may_decide(make_sft_run):
    checks = [
        CalibrationCheck(
            name="judge_flip_rate", value=0.5, low=0.4, high=0.6, held=0.6, comparison="<=", bar=0.2, is_passed=False
        ),
        CalibrationCheck(name="judge_kappa", value=None, held=None, comparison=">=", bar=0.6, is_passed=False),
        CalibrationCheck(name="judge_models", value=1, held=1, comparison="<=", bar=1, is_passed=True),
    ]
    rounds = [
        CanaryRound(name=name, num_asked=16, num_right=9, num_changed=changed, models=["judge-1"])
        for name, changed in (("start", 0), ("resumed-1", 0), ("end", 5))
    ]
    facts = {"judge": "model judge-1", "checks": checks, "canaries": rounds, "unusable": {"prose": 3}, "num_asked": 100}
    record = UmpireRecord(**stamp("umpire"), **facts, is_calibrated=False)
    run = make_sft_run()
    blocks = build_pack_sections(run, record)["calibration"].blocks
    assert [len(block.rows) for block in blocks if isinstance(block, Table)] == [3, 3, 1]
    text = repr(blocks)
    for shown in ("decide no gate", "裁判未校准", "50.0%", "40.0% – 60.0%", "not measured", "第 1 次恢复", "in prose"):
        assert shown in text
    record = record.model_copy(update={"is_calibrated": True, "unusable": {}})
    assert "may decide a gate" in repr(build_pack_sections(run, record)["calibration"].blocks)


def test_scorers_that_judge_are_no_independent_judge(make_sft_run):
    record = UmpireRecord(**stamp("umpire"), judge="the scorers", is_calibrated=True, checks=[], is_independent=False)
    told = [block.text for block in build_pack_sections(make_sft_run(), record)["calibration"].blocks[:2]]
    assert "no independent judge" in told[1].en
    assert "独立的裁判" in told[1].zh


def test_a_repair_shows_changes_clean_figures_and_criteria(make_sft_run):
    yes = Criterion(title_en="Pairs", title_zh="偏好对", value=9, comparison=Comparison.AT_LEAST, threshold=8)
    no = yes.model_copy(update={"title_en": "Left out", "value": 0.5, "threshold": 0.9, "style": "share"})
    record = MendRecord(
        **stamp("mend"),
        verdict="pass",
        num_rows=9,
        num_clean_rows=9,
        findings=[],
        decisions=[Decision(name="prefer", title_en="DPO?", title_zh="DPO？", criteria=[yes, no])],
        changes=[SplitChange(split="train", num_rows=4, change="added", title_en="new", title_zh="新")],
        claims=[SplitClaim(split="test", is_clean=False, title_en="looked at", title_zh="已查看")],
        origins=[Origin(split="test", id=name, cause="field", num_rows=2, num_pairs=1) for name in ("a", "b", "c")],
    )
    run = make_sft_run()
    blocks = build_pack_sections(run, record)["repair"].blocks
    changes, claims, criteria = (block for block in blocks if isinstance(block, Table))
    assert changes.rows[0][0] == "train"
    assert claims.rows[0][2].text.en == "not clean"
    assert [row[3].text.en for row in criteria.rows] == ["yes", "no"]
    (answer,) = (block for block in blocks if isinstance(block, Notice))
    assert answer.text.en == "DPO? no"
    assert answer.detail.zh == "偏好对：50.0%（不低于 90.0%）"
    left = build_pack_sections(run, record.model_copy(update={"unrepaired_failures": 8}))["repair"].blocks[0]
    assert (left.text.en, left.tone) == ("Failures of which no new row was made: 8.", "warn")
    answers = {"base": "", "candidate": "", "base_correct": False}
    samples = [EvaluationSample(id=name, split="test", candidate_correct=name == "a", **answers) for name in "ab"]
    files = replace(read_run(run.layout, "report"), data_lock=None)
    steps = (StepFiles("mend", "mend", record), StepFiles("again", "evaluate", None, samples=tuple(samples)))
    section = build_repair_section(Pack(replace(files, steps=steps), build_evidence(files), 12))
    (chain,) = (block for block in section.blocks if isinstance(block, Disclosure))
    assert chain.summary.en == "Failures and what became of them. Answered right now: 1 of 3 in test"
    assert [row[0] for row in chain.blocks[0].rows] == ["test/a", "test/b", "test/c"]
    assert [getattr(row[4], "text", row[4]).en for row in chain.blocks[0].rows] == ["right", "wrong", "not asked again"]
    # Rows that failed in another split are asked again in the split test of the repaired data.
    moved = [Origin(split="fresh", id=name, cause="field", num_rows=2, num_pairs=1) for name in ("a", "b", "c")]
    steps = (StepFiles("mend", "mend", record.model_copy(update={"origins": moved})), steps[1])
    section = build_repair_section(Pack(replace(files, steps=steps), build_evidence(files), 12))
    (chain,) = (block for block in section.blocks if isinstance(block, Disclosure))
    assert chain.summary.en == "Failures and what became of them. Answered right now: 1 of 3 in fresh"


def test_training_that_was_left_out_says_why_and_shows_no_figures(make_sft_run):
    counts = {"num_steps": 0, "num_train_rows": 0, "num_trainable_parameters": 0, "num_parameters": 0}
    why = Criterion(title_en="New rows", title_zh="新样本", value=0, comparison=Comparison.AT_LEAST, threshold=1)
    record = DrillRecord(**stamp("drill"), **counts, method="lora", num_tokens=0, skipped=[why])
    (notice,) = build_pack_sections(make_sft_run(), record)["curves"].blocks
    assert notice.detail.en == "New rows: 0 (at least 1)"


def test_another_record_gets_none_of_them(make_sft_run):
    files = read_run(make_sft_run().layout, "report")
    assert len(files.list_records(TrainingRecord)) == 1
    assert files.list_records(FindingsRecord) == []
