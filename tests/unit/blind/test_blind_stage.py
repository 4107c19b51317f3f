"""The stage ``blind`` inside a run: the names of its models, and where page and key lie."""

from __future__ import annotations

import hashlib
import json

from answer_pairs import build_pairs, write_pairs
from practicum_core.stages.blind import BlindConfig
from practicum_core.stages.evaluate import EvaluateRecord
from practicum_jobs import blind
from practicum_jobs.context import StageContext


def make(run_dir, samples, **options):
    """Run the stage on the samples of the evaluation of the same run."""
    evaluation = StageContext(run_dir, "evaluate", "evaluate")
    evaluation.layout.root.mkdir(parents=True, exist_ok=True)
    write_pairs(evaluation.layout.samples, samples)
    record = EvaluateRecord(
        **evaluation.build_record_fields(),
        num_rows=len(samples),
        model="hf://acme/Zephyros-7B",
        candidate="run:stages/sft/artifacts/merged",
        data_sha256="0",
        predictions_sha256="0",
    )
    evaluation.layout.record.write_text(record.model_dump_json())
    return blind.run(BlindConfig(**options), StageContext(run_dir, "blind", "blind"))


def test_page_and_key_lie_apart_and_the_hash_is_that_of_the_key(tmp_path):
    record = make(tmp_path, build_pairs(), items=5, identical_checks=1, planted_checks=1)
    assert record.num_items == 7
    key = (tmp_path / record.key).read_bytes()
    assert hashlib.sha256(key).hexdigest() == record.key_sha256
    assert [artifact.path for artifact in record.artifacts] == [record.page]
    assert not record.key.startswith("stages/blind/artifacts")
    assert (json.loads(key)["base_model"], json.loads(key)["candidate_model"]) == (
        "hf://acme/Zephyros-7B",
        "run:stages/sft/artifacts/merged",
    )


def test_the_name_in_a_model_s_uri_is_removed_from_the_answers(tmp_path):
    samples = [one.model_copy(update={"base": f"zephyros-7b says {one.id}"}) for one in build_pairs(num_equal=0)]
    record = make(tmp_path, samples)
    assert "ephyros" not in (tmp_path / record.page).read_text()
    assert {metric.name: metric.value for metric in record.metrics}["names_removed"] == 20


def test_only_the_scored_split_is_rated(tmp_path):
    control = [one.model_copy(update={"split": "control", "id": f"control-{one.id}"}) for one in build_pairs(5)]
    record = make(tmp_path, [*build_pairs(5), *control])
    key = json.loads((tmp_path / record.key).read_text())
    assert {item["sample"].partition("-")[0] for item in key["items"]} == {"ticket"}
    chosen = make(tmp_path, [*build_pairs(5), *control], split="control")
    key = json.loads((tmp_path / chosen.key).read_text())
    assert {item["sample"].partition("-")[0] for item in key["items"]} == {"control"}
