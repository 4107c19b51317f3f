"""A replay of recorded traffic and what follows it: its failures become data, as the unit's own steps name them."""

from __future__ import annotations

import json

from practicum_core.curriculum import UNITS
from practicum_core.layout import RunLayout
from practicum_core.resolve import resolve_steps
from practicum_core.stages import STAGES
from practicum_core.weekjob import WeekJob
from practicum_jobs import analyze, compare, iterate, replayeval, snapshot
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.row_records import write_rows
from practicum_jobs.datasets.tickets import TicketOptions, build_rows
from small_api import serve

PROGRAMS = {"snapshot": snapshot, "replayeval": replayeval, "compare": compare, "analyze": analyze, "iterate": iterate}
STEPS = (
    "snapshot-traffic",
    "replayeval",
    "compare-replay",
    "analyze-replay",
    "iterate",
    "snapshot-enlarged",
    "snapshot-again",
)


def write_data(folder):
    """Write a data set as week 5 leaves one: with rows that nobody trained on as its split fresh."""
    options, later = TicketOptions(rows=200), TicketOptions(rows=200, seed=8)
    fresh = [row.model_copy(update={"id": f"fresh-{row.id}"}) for row in build_rows(later, "test")]
    write_rows(folder / "train.jsonl", list(build_rows(options, "train")))
    write_rows(folder / "fresh.jsonl", fresh)
    for split in ("validation", "test", "control"):
        write_rows(folder / f"{split}.jsonl", list(build_rows(options, split)))
    return {row.messages[-1].content: row.answer for row in fresh}


def confuse(answer):
    """Return an answer with another category, or another text."""
    if not answer.startswith("{"):
        return f"not {answer}"
    document = json.loads(answer)
    return json.dumps({**document, "category": "refund" if document["category"] != "refund" else "billing"})


def test_the_steps_of_the_unit_lead_from_traffic_to_repaired_data(tmp_path):
    data, traffic, run = tmp_path / "data", tmp_path / "trace.jsonl", tmp_path / "exp/capstone-extended/one"
    answers = write_data(data)
    traffic.write_text("".join(json.dumps({"at_s": number / 100}) + "\n" for number in range(20)))
    weekjob = WeekJob.model_validate({"metadata": {"name": "t"}, "spec": {"unit": "capstone-extended"}})
    steps = {step.name: step for step in resolve_steps(weekjob)}
    run.mkdir(parents=True)
    before = {prompt: confuse(answer) for prompt, answer in answers.items()}
    after = {
        prompt: confuse(answer) if number % 5 == 0 else answer
        for number, (prompt, answer) in enumerate(answers.items())
    }
    with serve("before", before.get) as old, serve("after", after.get) as new:
        replaced = {
            "replayeval": {"base_url": old, "candidate_url": new, "recorded": f"file://{traffic}", "limit": 30},
            "iterate": {"data": f"file://{data}", "fresh_rows": 20},
            "snapshot-traffic": {"data": f"file://{data}"},
            "snapshot-again": {"data": "builtin:tickets?rows=200"},
        }
        for name in STEPS:
            step = steps[name]
            options = {
                **dict(UNITS["capstone-extended"].steps[list(steps).index(name)].config),
                **replaced.get(name, {}),
            }
            config = STAGES[step.stage].config.model_validate(options)
            ctx = StageContext(run, step.stage, name, cache_dir=tmp_path / "cache")
            record = PROGRAMS[step.stage].run(config, ctx)
            layout = RunLayout(run).stage(name)
            layout.record.parent.mkdir(parents=True, exist_ok=True)
            layout.record.write_text(record.model_dump_json())
            metrics = {metric.name: metric.value for metric in record.metrics}
            match name:
                case "replayeval":
                    assert (metrics["online_right_base"], metrics["num_unanswered"]) == (0, 0)
                    assert metrics["online_right_tuned"] == 0.8
                case "compare-replay":
                    assert metrics["verdict_improved"] == 1
                case "analyze-replay":
                    assert metrics["failed_answers"] == 6
                case "iterate":
                    assert (metrics["repaired_failures"], metrics["unlinked_rows"]) == (6, 0)
                    assert 0 < metrics["fresh_rows"] <= 20
                case "snapshot-enlarged":
                    assert metrics["unwaived_leaks"] == 0
