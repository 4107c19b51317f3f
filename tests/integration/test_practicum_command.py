"""The command as a person runs it: real stages, real environments, real signals."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
import time
from pathlib import Path

import pytest

ROW = '{{"instruction": "Add {0} and {0}", "input": "", "output": "The sum is {1}."}}\n'


def build_command(*arguments):
    return [sys.executable, "-m", "practicum_cli.main", *map(str, arguments)]


def run(folder, *arguments):
    return subprocess.run(
        build_command(*arguments), cwd=folder, capture_output=True, text=True, check=False, timeout=900
    )


def test_audit_tells_good_data_from_bad_and_from_what_is_none(tmp_path):
    words = ["red", "orange", "yellow", "green", "blue", "indigo", "violet", "black", "white", "grey", "pink", "brown"]
    rows = [json.dumps({"instruction": f"Name a thing that is {word}", "output": f"{word} paint"}) for word in words]
    (tmp_path / "good.jsonl").write_text("\n".join(rows) + "\n")
    (tmp_path / "bad.jsonl").write_text("\n".join([*rows, *rows]) + "\n")
    (tmp_path / "none.jsonl").write_text("")
    good, bad, none = (run(tmp_path, "audit", f"{name}.jsonl", "--model", "none") for name in ("good", "bad", "none"))
    assert (good.returncode, bad.returncode, none.returncode) == (0, 1, 3), (good.stdout, bad.stdout, none.stderr)
    assert "exact_duplicate" in bad.stdout
    assert "error: DataInvalid: " in none.stderr
    assert "Traceback" not in good.stderr + bad.stderr + none.stderr
    report = next(line for line in bad.stdout.splitlines() if line.endswith("audit.html"))
    assert Path(report.partition(": ")[2]).is_file()


def test_sigterm_stops_a_real_stage_and_resume_ends_the_run(tmp_path):
    (tmp_path / "rows.jsonl").write_text("".join(ROW.format(number, 2 * number) for number in range(30_000)))
    arguments = ("audit", "rows.jsonl", "--model", "none", "--set", "audit.clean_copy=false")
    process = subprocess.Popen(
        build_command(*arguments),
        cwd=tmp_path,
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    deadline_s = time.monotonic() + 60
    while not list(tmp_path.glob("experiments/audit/*/stages/audit/progress.json")):
        assert time.monotonic() < deadline_s
        assert process.poll() is None
        time.sleep(0.02)
    process.send_signal(signal.SIGTERM)
    out, err = process.communicate(timeout=120)
    assert process.returncode == 143, (out, err)
    command = next(line for line in out.splitlines() if "--resume" in line).partition("practicum ")[2]
    resumed = run(tmp_path, *command.split())
    assert resumed.returncode == 0, resumed.stderr
    (status,) = (json.loads(path.read_text()) for path in tmp_path.glob("experiments/audit/*/status.json"))
    assert (status["phase"], status["stages"][0]["attempt"]) == ("Succeeded", 2)


@pytest.mark.slow
def test_week_1_on_the_real_model_verifies_bit_equal(tmp_path):
    options = ("--profile", "quick", "--set", "evaluate.limit=4", "--set", "evaluate.max_new_tokens=8")
    first = run(tmp_path, "run", "week-01", *options)
    assert first.returncode == 1, first.stderr
    assert "gate FAILED: baseline_rows" in first.stdout
    assert "/evidence/index.html" in first.stdout
    verified = run(tmp_path, "verify", "latest")
    assert verified.returncode == 0, (verified.stdout, verified.stderr)
    assert ": bit-equal (" in verified.stdout
