"""A stage program for tests of the executor: writes valid records, or misbehaves as PRACTICUM_TEST_BEHAVIOUR says."""

from __future__ import annotations

import argparse
import json
import os
import signal
import sys
import time
from pathlib import Path

NOW = "2026-01-02T03:04:05.000+00:00"
SHA = "0" * 64
FIELDS = {
    "model": {"uri": "builtin:x", "num_parameters": 1, "tokenizer_sha256": SHA, "chat_template_sha256": SHA},
    "snapshot": {"lock": {"uri": "builtin:x", "splits": {}}},
    "evaluate": {"num_rows": 60, "model": "builtin:x", "data_sha256": SHA, "predictions_sha256": SHA},
    "report": {"verdict": "passed", "html": "evidence/index.html", "html_sha256": SHA},
}
METRICS = {
    "snapshot": [{"name": "unwaived_leaks", "value": 0}],
    "evaluate": [{"name": "num_rows", "value": 60}, {"name": "exact_match_interval_width", "value": 0.1}],
}


def main() -> int:
    parser = argparse.ArgumentParser()
    parser.add_argument("stage")
    for name in ("--config", "--run-dir", "--step"):
        parser.add_argument(name, type=Path if name != "--step" else str)
    options = parser.parse_args()
    folder = options.run_dir / "stages" / options.step
    behaviour = json.loads(os.environ.get("PRACTICUM_TEST_BEHAVIOUR", "{}")).get(options.step, "ok")
    with (folder / "starts.txt").open("a") as handle:
        handle.write(f"{os.getpid()}\n")
    sys.stdout.write(f"{options.step} says hello\n")
    sys.stdout.flush()
    return BEHAVIOURS[behaviour](options.stage, folder)


def succeed(stage: str, folder: Path) -> int:
    record = {"stage": stage, "step": folder.name, "started_at": NOW, "finished_at": NOW, "duration_s": 0.5}
    record |= {**FIELDS[stage], "metrics": METRICS.get(stage, [])}
    if stage == "report":
        evidence = folder.parents[1] / "evidence"
        evidence.mkdir(exist_ok=True)
        (evidence / "index.html").write_text("<p>pack</p>")
    (folder / "record.json").write_text(json.dumps(record))
    return 0


def stop_at_checkpoint(stage: str, folder: Path) -> int:
    stopped = []
    signal.signal(signal.SIGTERM, lambda *_: stopped.append(1))
    (folder / "progress.json").write_text(json.dumps({"fraction": 0.25, "message": "halfway", "eta_s": 3}))
    (folder / "ready").touch()
    for _ in range(600):
        if (folder / "checkpoint").exists():
            return succeed(stage, folder)
        if stopped:
            (folder / "checkpoint").touch()
            (folder / "error.json").write_text(json.dumps({"reason": "Stopped", "detail": "stopped", "fix": ""}))
            return 143
        time.sleep(0.05)
    return 1


def ignore_stop(stage: str, folder: Path) -> int:
    signal.signal(signal.SIGTERM, signal.SIG_IGN)
    (folder / "ready").touch()
    time.sleep(60)
    return 1


def refuse_data(stage: str, folder: Path) -> int:
    error = {"reason": "DataInvalid", "detail": "rows.jsonl:3: broken", "fix": "mend it"}
    (folder / "error.json").write_text(json.dumps(error))
    return 3


def crash_once(stage: str, folder: Path) -> int:
    if len((folder / "starts.txt").read_text().splitlines()) > 1:
        return succeed(stage, folder)
    return 9


def tell_what_no_report_can_hold(stage: str, folder: Path) -> int:
    (folder / "progress.json").write_text('{"fraction": 1%s, "message": "\\ud800 here", "eta_s": NaN}' % ("0" * 400))
    (folder / "ready").touch()
    for _ in range(600):
        if (folder / "go-on").exists():
            (folder / "error.json").write_text('{"reason": "DataInvalid", "detail": "row \\ud800 is odd"}')
            return 3
        time.sleep(0.05)
    return 1


def write_half_a_record(stage: str, folder: Path) -> int:
    (folder / "record.json").write_text('{"stage": "model", "st')
    return 0


def be_killed(stage: str, folder: Path) -> int:
    os.kill(os.getpid(), signal.SIGKILL)
    return 0


BEHAVIOURS = {
    "ok": succeed,
    "checkpoint": stop_at_checkpoint,
    "deaf": ignore_stop,
    "bad-data": refuse_data,
    "crash": lambda stage, folder: 9,
    "crash-once": crash_once,
    "odd": tell_what_no_report_can_hold,
    "half": write_half_a_record,
    "killed": be_killed,
}

if __name__ == "__main__":
    sys.exit(main())
