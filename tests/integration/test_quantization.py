"""Week 6 on a tiny model, every part real: quantized in one environment, loaded by vLLM and llama.cpp in another."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
from pathlib import Path

import gguf
import pytest
import yaml

from practicum_core.layout import RunLayout
from practicum_core.stages.prompts import PromptCheck
from practicum_core.stages.quantcheck import ORIGINAL, QuantcheckRecord
from practicum_core.stages.quantize import QuantizeRecord
from practicum_core.stages.snapshot import DataLock
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.models.prompts import compare_prompts
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.quantcheck.measurement import Measurement, Request

ROOT = Path(__file__).parents[2]
SOURCES = ("platform/core/src", "platform/runtime/src", "jobs/src")
FORMATS = ["gguf-q4_k_m", "gptq", "awq"]
NUM_ROWS = 24
OPTIONS = {"formats": FORMATS, "gptq_rows": 8, "awq_rows": 4, "awq_grid": 3, "num_texts": 3}
QUESTIONS = {"limit": 4, "control_limit": 2, "max_new_tokens": 8, "concurrency": [1, 4]}
pytestmark = [pytest.mark.slow, pytest.mark.timeout(900)]


def find_environment(name):
    command = [ROOT / "tools" / "ensure-env.sh", name]
    made = subprocess.run(command, check=True, capture_output=True, text=True)
    return Path(made.stdout.strip()) / "bin" / "python"


def run_module(environment, cache, *arguments):
    variables = {
        **os.environ,
        "PYTHONPATH": ":".join(str(ROOT / source) for source in SOURCES),
        "PRACTICUM_CACHE": str(cache),
    }
    command = [find_environment(environment), "-m", *arguments]
    return subprocess.run(command, check=False, capture_output=True, text=True, env=variables)


def run_stage(environment, stage, run_dir, options):
    config = run_dir / f"{stage}.yaml"
    config.write_text(yaml.safe_dump(options))
    return run_module(
        environment, run_dir.parent / "cache", "practicum_jobs", stage, "--config", config, "--run-dir", run_dir
    )


@pytest.fixture(scope="module")
def model_dir(tiny_model_dir, tmp_path_factory):
    """A random Llama whose rows fit a K-quant and whose heads vLLM has a kernel for."""
    import torch  # noqa: PLC0415 - only this test waits for torch
    import transformers  # noqa: PLC0415 - as above

    folder = tmp_path_factory.mktemp("wide") / "model"
    shutil.copytree(tiny_model_dir, folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    config.update({"hidden_size": 256, "intermediate_size": 512, "head_dim": 64})
    with torch.random.fork_rng():
        torch.manual_seed(1)
        model = transformers.LlamaForCausalLM(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0, 0.1)
    model.generation_config = transformers.GenerationConfig.from_pretrained(tiny_model_dir)
    model.save_pretrained(folder)
    return folder


@pytest.fixture(scope="module")
def run_dir(tmp_path_factory):
    folder = tmp_path_factory.mktemp("week-06")
    run, cache = folder / "run", folder / "cache"
    run.mkdir()
    source = open_source("builtin:tickets?rows=200", cache)
    splits = {}
    for split in ("train", "test", "control"):
        rows = [row for _, row in zip(range(NUM_ROWS), source.iter_split(split), strict=False)]
        splits[split] = write_split(rows, cache)
    write_data_lock(RunLayout(run), DataLock(uri=source.uri, splits=splits))
    return run


def quantize(run_dir, model_dir):
    done = run_stage("quantize", "quantize", run_dir, {"model": str(model_dir), **OPTIONS})
    assert done.returncode == 0, done.stderr[-2000:]
    return QuantizeRecord.model_validate_json(RunLayout(run_dir).stage("quantize").record.read_bytes())


def check(run_dir, model_dir):
    done = run_stage("serve", "quantcheck", run_dir, {"model": str(model_dir), **QUESTIONS})
    assert done.returncode == 0, done.stderr[-2000:]
    return QuantcheckRecord.model_validate_json(RunLayout(run_dir).stage("quantcheck").record.read_bytes())


@pytest.fixture(scope="module")
def record(run_dir, model_dir):
    return quantize(run_dir, model_dir)


@pytest.fixture(scope="module")
def sheet(record, run_dir, model_dir):
    return check(run_dir, model_dir)


def test_every_format_is_made_and_weighed(record):
    assert [one.name for one in record.made] == FORMATS
    assert not any(one.is_cached for one in record.made)
    by_name = {one.name: one for one in record.made}
    assert by_name["gguf-q4_k_m"].types["Q4_K"] > 0
    assert by_name["gguf-q4_k_m"].num_tokenizer_differences == 0
    assert 0 < by_name["gguf-q4_k_m"].fidelity.kl_mean < 0.5
    assert by_name["gptq"].calibration_rows == 8


def test_each_answers_in_its_engine_on_the_same_tokens(sheet):
    assert [row.name for row in sheet.rows] == [ORIGINAL, *FORMATS]
    for row in sheet.rows:
        assert not row.notes
        assert row.prompts == PromptCheck(num_prompts=6, num_same=6)
        assert row.chat_template == PromptCheck(num_prompts=6, num_same=6)
        assert set(row.tokens_per_s) == {"1", "4"}
        assert row.peak_bytes >= row.resident_bytes > row.baseline_bytes > 0
    original, *others = sheet.rows
    assert original.fidelity.kl_mean < min(row.fidelity.kl_mean for row in others)
    assert max(row.fidelity.kl_mean for row in others) < 1
    assert {row.name: row.engine for row in others} == {"gguf-q4_k_m": "llama.cpp", "gptq": "vllm", "awq": "vllm"}
    assert all("WNA16" in row.kernel for row in others if row.engine == "vllm")


def ask_engine(engine, path, model_dir, tmp_path):
    """Let an engine answer two prompts in a process; return the file of its measurement and how it ended."""
    meant, turns = build_prompts(model_dir)
    request = Request(
        engine=engine,
        path=str(path),
        prompts=meant,
        conversations=turns,
        stop_ids=[2],
        max_new_tokens=2,
        concurrency=[1],
        num_threads=2,
        texts=[],
        reference="",
    )
    source, target = tmp_path / "request.json", tmp_path / "measured.json"
    source.write_text(request.model_dump_json())
    return target, run_module("serve", tmp_path, "practicum_jobs.quantcheck.probe", source, target)


def build_prompts(model_dir):
    turns = [[{"role": "user", "content": text}] for text in ("Where is order 4711?", "订单 20481")]
    tokenizer = ChatTokenizer(model_dir)
    return [tokenizer.encode(tokenizer.render(one, add_generation_prompt=True)) for one in turns], turns


def ask_chat(engine, path, model_dir, tmp_path):
    """Return how the engine's own chat template fares against the original's."""
    meant, _ = build_prompts(model_dir)
    target, _ = ask_engine(engine, path, model_dir, tmp_path)
    measured = Measurement.model_validate_json(target.read_bytes())
    assert compare_prompts(meant, measured.prompt_token_ids).is_shown
    return compare_prompts(meant, measured.conversation_token_ids)


def test_a_bos_token_that_llama_cpp_adds_is_found(record, run_dir, model_dir, tmp_path):
    path = tmp_path / "model.gguf"
    shutil.copyfile(RunLayout(run_dir).stage("quantize").artifacts / "gguf-q4_k_m" / "model.gguf", path)
    # A template that begins with the BOS token would hide an added one: llama.cpp drops the second.
    reader = gguf.GGUFReader(path, "r+")
    reader.fields["tokenizer.ggml.add_bos_token"].parts[-1][0] = True
    reader.fields["tokenizer.ggml.bos_token_id"].parts[-1][0] = 0
    reader.data.flush()
    assert ask_chat("llama.cpp", path, model_dir, tmp_path).first_difference == "prompt 1: 1 token more at the start: 0"


def test_a_half_written_file_is_one_clear_sentence(record, run_dir, model_dir, tmp_path):
    path = tmp_path / "model.gguf"
    path.write_bytes(
        (RunLayout(run_dir).stage("quantize").artifacts / "gguf-q4_k_m" / "model.gguf").read_bytes()[:9999]
    )
    target, done = ask_engine("llama.cpp", path, model_dir, tmp_path)
    assert done.returncode == 1
    assert "llama.cpp cannot load it" in json.loads(target.with_suffix(".fault").read_text())["detail"]


def test_a_chat_template_that_differs_in_vllm_is_found(record, run_dir, model_dir, tmp_path):
    folder = tmp_path / "gptq"
    shutil.copytree(RunLayout(run_dir).stage("quantize").artifacts / "gptq", folder)
    template = folder / "chat_template.jinja"
    template.write_text("{{ bos_token }}" + template.read_text())
    assert ask_chat("vllm", folder, model_dir, tmp_path).num_different == 2


def test_an_artifact_has_the_originals_chat_template(record, run_dir, model_dir):
    turns = [{"role": "user", "content": "订单 20481"}]
    for name in ("gptq", "awq"):
        folder = RunLayout(run_dir).stage("quantize").artifacts / name
        texts = [ChatTokenizer(one).render(turns, add_generation_prompt=True) for one in (folder, model_dir)]
        assert texts[0] == texts[1]


def test_a_file_that_was_cut_off_is_refused_and_made_again_and_nothing_else(sheet, run_dir, model_dir):
    layout = RunLayout(run_dir)
    probes = sorted((layout.stage("quantcheck").root / "probes").glob("*.done"))
    times = [path.stat().st_mtime_ns for path in probes]
    assert len(probes) == 1 + len(FORMATS)
    (layout.stage("quantize").artifacts / "gguf-q4_k_m" / "model.gguf").write_bytes(b"GGUF half")
    refused = run_stage("serve", "quantcheck", run_dir, {"model": str(model_dir), **QUESTIONS})
    assert refused.returncode == 3
    assert "not the files that were made" in json.loads(layout.stage("quantcheck").error.read_text())["detail"]
    assert [one.is_cached for one in quantize(run_dir, model_dir).made] == [False, True, True]
    again = check(run_dir, model_dir)
    assert [path.stat().st_mtime_ns for path in probes] == times
    assert again.rows == [
        row.model_copy(update={"make_s": new.make_s}) for row, new in zip(sheet.rows, again.rows, strict=True)
    ]
