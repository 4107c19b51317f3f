"""An evaluation with each engine on a tiny model: vLLM and llama.cpp in their environment, and a real server by URL."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import pytest
import yaml

from practicum_core.errors import DataError
from practicum_core.layout import RunLayout
from practicum_core.rows import Message, Row
from practicum_core.scorers import ChoiceScorer
from practicum_core.stages.evaluate import EvaluateConfig, EvaluateRecord
from practicum_core.stages.snapshot import DataLock
from practicum_jobs import evaluate
from practicum_jobs.adapters.gguf_export import write_gguf
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.models.tokens import read_chat_template
from tiny_models import make_model

ROOT = Path(__file__).parents[2]
NUM_ROWS = 6
CHOICE = ChoiceScorer(choices=("yes", "no", "refund"))
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


@pytest.fixture(scope="module")
def serve_python():
    made = subprocess.run([ROOT / "tools/ensure-env.sh", "serve"], check=True, capture_output=True, text=True)
    return Path(made.stdout.strip()) / "bin" / "python"


@pytest.fixture(scope="module")
def model_dir(tiny_model_dir, tmp_path_factory):
    return make_model(tiny_model_dir, tmp_path_factory.mktemp("base") / "model", 1)


@pytest.fixture(scope="module")
def candidate_dir(tiny_model_dir, tmp_path_factory):
    return make_model(tiny_model_dir, tmp_path_factory.mktemp("candidate") / "model", 2)


@pytest.fixture(scope="module")
def gguf_file(model_dir, tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    write_gguf(model_dir, path, read_chat_template(model_dir))
    return path


@pytest.fixture
def context(tmp_path):
    ctx = StageContext(tmp_path / "run", "evaluate", "evaluate", tmp_path / "cache")
    ctx.run.root.mkdir()
    lock_rows(ctx, build_rows())
    return ctx


def build_rows():
    turns = [[Message(role="user", content=f"order {number}")] for number in range(NUM_ROWS)]
    return [Row(id=f"r{number}", messages=one, answer="x", task="question") for number, one in enumerate(turns)]


def lock_rows(ctx, rows):
    write_data_lock(ctx.run, DataLock(uri="file:///rows.jsonl", splits={"test": write_split(rows, ctx.cache_dir)}))


def run_stage(python, ctx, **options):
    config = ctx.run.root / "evaluate.yaml"
    config.write_text(yaml.safe_dump({"max_new_tokens": 6, "batch_size": 4, "bootstrap_resamples": 200, **options}))
    sources = ("platform/core/src", "platform/runtime/src", "jobs/src")
    variables = {
        **os.environ,
        "PYTHONPATH": ":".join(str(ROOT / source) for source in sources),
        "PRACTICUM_CACHE": str(ctx.cache_dir),
    }
    line = [python, "-m", "practicum_jobs", "evaluate", "--config", config, "--run-dir", ctx.run.root]
    done = subprocess.run(line, check=False, capture_output=True, text=True, env=variables)
    assert done.returncode == 0, done.stderr[-3000:]
    record = EvaluateRecord.model_validate_json(RunLayout(ctx.run.root).stage("evaluate").record.read_bytes())
    return record, [json.loads(line) for line in ctx.layout.samples.read_text().splitlines()]


def get_metric(record, name):
    return next(metric.value for metric in record.metrics if metric.name == name)


def test_vllm_answers_for_two_models_and_shows_the_prompts_that_it_was_given(
    serve_python, context, model_dir, candidate_dir
):
    """A row of choices among the others, and the answers of transformers beside those of vLLM, both in float32."""
    choice = build_rows()[0].model_copy(update={"id": "choice", "answer": "no", "scorer": CHOICE})
    rows = [choice, *build_rows()]
    lock_rows(context, rows)
    options = {"model": f"file://{model_dir}", "dtype": "float32"}
    record, samples = run_stage(serve_python, context, engine="vllm", candidate=f"file://{candidate_dir}", **options)
    assert (record.engine, record.dtype) == ("vllm", "float32")
    assert record.prompt_check.is_shown
    assert record.prompt_check.num_prompts == 2 * len(rows)
    assert record.notes == []
    evaluate.run(EvaluateConfig(max_new_tokens=6, batch_size=4, bootstrap_resamples=200, **options), context)
    plain = [json.loads(line) for line in context.layout.samples.read_text().splitlines()]
    assert [one["output"] for one in plain] == [one["base"] for one in samples]
    assert len({one["output"] for one in plain}) > 1
    again, _ = run_stage(serve_python, context, engine="vllm", candidate=f"file://{candidate_dir}", **options)
    assert get_metric(again, "answers_cached") == 2 * len(rows)


def test_llama_cpp_answers_from_a_gguf_file_with_the_prompts_of_the_original(
    serve_python, context, model_dir, gguf_file
):
    options = {"engine": "llama_cpp", "tokenizer": f"file://{model_dir}"}
    record, samples = run_stage(serve_python, context, model=f"file://{gguf_file}", **options)
    assert record.prompt_check.is_shown
    assert (record.engine, len(samples)) == ("llama_cpp", NUM_ROWS)
    assert {sample["finish"] for sample in samples} <= {"stop", "length"}


@pytest.fixture
def start_server(serve_python):
    started = []

    def start(path):
        process = subprocess.Popen(
            [serve_python, ROOT / "tests/stand/llama_server.py", path],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,
            text=True,
        )
        started.append(process)
        return process.stdout.readline().strip()

    yield start
    for process in started:
        process.kill()
        process.wait()
        process.stdin.close()
        process.stdout.close()


def test_a_server_is_asked_by_url_and_another_chat_template_there_ends_the_evaluation(
    start_server, context, model_dir, gguf_file, tmp_path
):
    options = {"model": f"file://{model_dir}", "engine": "openai", "max_new_tokens": 6, "bootstrap_resamples": 200}
    record = evaluate.run(EvaluateConfig(base_url=start_server(gguf_file), **options), context)
    assert record.prompt_check.is_shown
    assert [note for note in record.notes if "not shown" not in note] == []
    assert get_metric(record, "answers_cached") == 0
    other = tmp_path / "other.gguf"
    write_gguf(model_dir, other, "{{ '<|im_start|>' }}" + read_chat_template(model_dir))
    shutil.rmtree(context.layout.root)
    with pytest.raises(DataError, match=r"processed other token ids .*1 token more at the start"):
        evaluate.run(EvaluateConfig(base_url=start_server(other), **options), context)
