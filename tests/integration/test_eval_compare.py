"""``jobs/eval_compare.py`` as a process: verdict, files of results, kept answers, bad input in one message."""

from __future__ import annotations

import json
import subprocess
import sys
from pathlib import Path

import pytest

SCRIPT = Path(__file__).parents[2] / "jobs/eval_compare.py"
OPTIONS = ("--data", "builtin:tickets?rows=200", "--limit", "24", "--max-new-tokens", "4")


@pytest.fixture
def compare(tmp_path, tiny_model_dir):
    def call(*options):
        model = f"file://{tiny_model_dir}"
        line = [sys.executable, str(SCRIPT), "--base", model, "--candidate", model, "--out", "out", *options]
        environment = {
            "PATH": "/usr/bin:/bin",
            "PRACTICUM_CACHE": str(tmp_path / "cache"),
            "OMP_WAIT_POLICY": "PASSIVE",
        }
        return subprocess.run(line, cwd=tmp_path, env=environment, capture_output=True, text=True, check=False)

    return call


@pytest.mark.timeout(300)
def test_a_model_against_itself_gets_a_verdict_and_two_files_that_compare_reads(compare, tmp_path, command):
    done = compare(*OPTIONS)
    assert done.returncode == 1, done.stderr
    generated, kept, verdict, *tasks, interval = done.stdout.splitlines()
    assert "24 answers to generate, 0 kept" in generated
    assert "0 answers to generate, 24 kept" in kept
    assert verdict.startswith("all: ")
    assert {line.partition(":")[0] for line in tasks} <= {"extract", "question"}
    assert "difference +0.000 (+0.000 to +0.000), p 1.0000" in verdict
    assert "clusters: +0.000 to +0.000" in interval
    files = [tmp_path / "out" / f"{role}.jsonl" for role in ("base", "candidate")]
    assert len({json.loads(line)["prompt_sha256"] for line in files[0].read_text().splitlines()}) == 24
    code, printed, _ = command("compare", *files, "--out", tmp_path / "runs")
    assert (code, "candidate minus base +0.000" in printed) == (1, True)


def test_bad_input_is_one_message_with_what_to_do(compare, tmp_path):
    done = compare("--split", "tset")
    assert done.returncode == 3
    assert "did you mean 'test'" in done.stderr
    assert "splits: train" in done.stderr
    assert "Traceback" not in done.stderr
    done = compare(*OPTIONS, "--candidate", "builtin:smollm")
    assert (done.returncode, "Traceback" in done.stderr) == (2, False)
    choice = {"question": "2 + 2?", "answer": "4", "scorer": {"kind": "choice", "choices": ["4", "5"]}}
    (tmp_path / "rows.jsonl").write_text(json.dumps(choice))
    done = compare("--data", "rows.jsonl", "--split", "train")
    assert (done.returncode, "'choice' compares log-probabilities" in done.stderr) == (3, True)
    assert done.stdout == ""
