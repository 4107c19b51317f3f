"""Evaluation of 500 items on SmolLM2 by vLLM on this machine's CPU, beside the bare engine and lm-evaluation-harness.

All three answer the same prompts with the same engine and number format, each run in a process of its own, in turns.
The items ask for a number in a note; the first number of an answer is compared.
"""

from __future__ import annotations

import json
import os
import resource
import shutil
import subprocess
import sys
import time
from dataclasses import dataclass
from pathlib import Path
from statistics import median

import yaml

from practicum_core.layout import RunLayout
from practicum_core.machine import get_cache_dir
from practicum_core.rows import Message, Row
from practicum_core.scorers import RegexScorer
from practicum_core.stages.evaluate import EvaluateRecord
from practicum_core.stages.snapshot import DataLock
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.datasets.store import write_data_lock, write_split
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.models.tokens import ChatTokenizer

ROOT = Path(__file__).parents[2]
NUM_ITEMS, MAX_NEW_TOKENS, CONCURRENCY, NUM_RUNS, NUM_PEER_RUNS = 500, 6, 64, 2, 1
MODEL = "builtin:smollm2-135m"
NUMBER = r"\d+"
TIMEOUT_S = 900
VARIABLES = {
    "VLLM_ENABLE_V1_MULTIPROCESSING": "0",
    "VLLM_CPU_KVCACHE_SPACE": "1",
    "VLLM_CPU_OMP_THREADS_BIND": "nobind",
    "VLLM_NO_USAGE_STATS": "1",
    "HF_HUB_OFFLINE": "1",
    "HF_DATASETS_OFFLINE": "1",
}
"""What `engine_vllm.py` sets too; the peer gets the same."""


@dataclass(frozen=True)
class Finding:
    """One run: seconds and processor seconds of the process, seconds of generation, tokens, and what was right."""

    wall_s: float
    cpu_s: float
    generate_s: float
    num_tokens: int
    right: tuple[bool, ...] = ()
    answers: tuple[str, ...] = ()


def measure_engines(folder: Path) -> dict[str, dict]:
    """Run the three in turns and return the figures of the bench."""
    link_model(folder)
    rows = build_rows()
    model = ensure_model(MODEL, get_cache_dir()).path
    prepare(folder, rows, model)
    own, bare, peer = [], [], []
    for number in range(NUM_RUNS):
        bare.append(run_bare(folder, model))
        own.append(run_evaluation(folder, number))
        if number < NUM_PEER_RUNS:
            peer.append(run_peer(folder, model, number))
        print(f"engine {bare[-1].generate_s:.1f} s, evaluation {own[-1].generate_s:.1f} s generating, "
              f"{own[-1].wall_s:.1f} s whole; lm-eval {peer[-1].wall_s:.1f} s whole", flush=True)  # fmt: skip
    return build_figures(own, bare, peer)


def build_figures(own: list[Finding], bare: list[Finding], peer: list[Finding]) -> dict[str, dict]:
    """Return the figures with their goals."""
    ratio = median(one.generate_s for one in own) / median(one.generate_s for one in bare)
    speedup = median(one.wall_s for one in peer) / median(one.wall_s for one in own)
    difference = abs(sum(own[0].right) - sum(peer[0].right)) / NUM_ITEMS
    changed = sum(one != other for one, other in zip(own[0].answers, peer[0].answers, strict=True))
    rate = own[0].num_tokens / median(one.generate_s for one in own)
    return {
        "evaluation_over_engine_time": _goal(ratio, "ratio", "<= 1.15", met=ratio <= 1.15),
        "lm_eval_over_evaluation_time": _goal(speedup, "ratio", "> 1", met=speedup > 1),
        "evaluation_over_engine_cpu": _compare_cpu(own, bare),
        "lm_eval_over_evaluation_cpu": _compare_cpu(peer, own),
        "score_difference_to_lm_eval": _goal(difference, "share", "= 0", met=difference == 0),
        "answers_other_than_lm_eval": {"value": changed, "unit": "items"},
        "exact_match": {"value": sum(own[0].right) / NUM_ITEMS, "unit": "share"},
        "seconds_evaluation": {"value": round(median(one.wall_s for one in own), 1), "unit": "s"},
        "seconds_lm_eval": {"value": round(median(one.wall_s for one in peer), 1), "unit": "s"},
        "tokens_per_s": {"value": round(rate, 1), "unit": "tokens/s"},
    }


def _compare_cpu(these: list[Finding], those: list[Finding]) -> dict:
    value = median(one.cpu_s for one in these) / median(one.cpu_s for one in those)
    return {"value": round(value, 4), "unit": "ratio of processor seconds of the processes"}


def build_rows() -> list[Row]:
    """Return items whose answer is a number: questions about a note, from tickets that SmolLM2 was not trained on."""
    found = open_source("builtin:tickets?rows=14000&language=en&seed=11", get_cache_dir()).iter_split("train")
    questions = {row.messages[-1].content: row for row in found if isinstance(row, Row) and row.task == "question"}
    asked = [row for row in questions.values() if row.answer.split()[0].isdigit()][:NUM_ITEMS]
    if len(asked) < NUM_ITEMS:
        raise SystemExit(f"the data set has only {len(asked)} questions")
    scorer = RegexScorer(pattern=NUMBER)
    return [
        Row(
            id=str(number),
            messages=[Message(role="user", content="\n".join(turn.content for turn in row.messages))],
            answer=row.answer.split()[0],
            task="question",
            scorer=scorer,
        )
        for number, row in enumerate(asked)
    ]


def prepare(folder: Path, rows: list[Row], model: Path) -> None:
    """Write the same items for each of the three: token ids, a locked split, a data set with its task file."""
    tokenizer = ChatTokenizer(model)
    prompts = [tokenizer.encode(tokenizer.render(row.messages, add_generation_prompt=True)) for row in rows]
    (folder / "prompts.json").write_text(json.dumps(prompts), encoding="utf-8")
    lock = DataLock(uri="file:///bench.jsonl", splits={"test": write_split(rows, folder / "cache")})
    for number in range(NUM_RUNS):
        (folder / f"run-{number}").mkdir()
        write_data_lock(RunLayout(folder / f"run-{number}"), lock)
    items = [{"prompt": row.messages[-1].content, "answer": row.answer} for row in rows]
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items), encoding="utf-8")
    task = {
        "task": "bench_notes",
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "items.jsonl")}},
        "test_split": "test",
        "output_type": "generate_until",
        "doc_to_text": "{{prompt}}",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": [], "do_sample": False, "temperature": 0.0, "max_gen_toks": MAX_NEW_TOKENS},
        "filter_list": [
            {
                "name": "first-number",
                "filter": [{"function": "regex", "regex_pattern": f"({NUMBER})"}, {"function": "take_first"}],
            }
        ],
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    # lm-eval asks for the metadata of a package `vllm`, which vllm-cpu does not have under that name; vLLM itself looks
    # for "cpu" in that version.
    found = next(line.split("==")[1].split()[0] for line in _read_lock() if line.startswith("vllm-cpu=="))
    version = f"{found}+cpu"
    metadata = folder / "metadata" / f"vllm-{version}.dist-info"
    metadata.mkdir(parents=True)
    (metadata / "METADATA").write_text(f"Metadata-Version: 2.1\nName: vllm\nVersion: {version}\n", encoding="utf-8")
    (folder / "tasks").mkdir()
    (folder / "tasks" / "bench_notes.yaml").write_text(yaml.safe_dump(task, sort_keys=False), encoding="utf-8")


def run_bare(folder: Path, model: Path) -> Finding:
    """Answer the prompts by vLLM's own generate()."""
    program = ROOT / "tests/bench/eval_offline.py"
    line = [program, model, folder / "prompts.json", str(MAX_NEW_TOKENS), str(CONCURRENCY)]
    spent, printed = run("serve", folder, *line)
    found = json.loads(printed.splitlines()[-1])
    return Finding(*spent, found["seconds"], found["num_tokens"])


def run_evaluation(folder: Path, number: int) -> Finding:
    """Run the stage `evaluate`, which generates, scores, and writes samples and a record."""
    run_dir = folder / f"run-{number}"
    config = run_dir / "evaluate.yaml"
    options = {"model": MODEL, "engine": "vllm", "batch_size": CONCURRENCY, "max_new_tokens": MAX_NEW_TOKENS}
    config.write_text(yaml.safe_dump({**options, "reuse_answers": False}), encoding="utf-8")
    spent, _ = run("serve", folder, "-m", "practicum_jobs", "evaluate", "--config", config, "--run-dir", run_dir)
    layout = RunLayout(run_dir).stage("evaluate")
    record = EvaluateRecord.model_validate_json(layout.record.read_bytes())
    metrics = {metric.name: metric.value for metric in record.metrics}
    samples = [json.loads(line) for line in layout.samples.read_text(encoding="utf-8").splitlines()]
    return Finding(
        *spent,
        metrics["generate_s"],
        round(metrics["mean_answer_tokens"] * NUM_ITEMS),
        tuple(sample["correct"] for sample in samples),
        tuple(sample["output"] for sample in samples),
    )


def run_peer(folder: Path, model: Path, number: int) -> Finding:
    """Run lm-evaluation-harness with its vLLM backend on the same items."""
    out = folder / f"lm-eval-{number}"
    settings = {
        "pretrained": model, "dtype": "bfloat16", "enforce_eager": True, "max_num_seqs": CONCURRENCY,
        "max_model_len": 256, "seed": 0,
    }  # fmt: skip
    line = ["-m", "lm_eval", "run", "--model", "vllm", "--tasks", "bench_notes", "--include_path", folder / "tasks"]
    line += ["--model_args", ",".join(f"{key}={value}" for key, value in settings.items()), "--batch_size", "auto"]
    line += ["--apply_chat_template", "--log_samples", "--output_path", out]
    spent, _ = run("peers-eval", folder, *line)
    (log,) = out.rglob("samples_bench_notes_*.jsonl")
    lines = sorted((json.loads(line) for line in log.read_text(encoding="utf-8").split("\n") if line), key=_get_item)
    return Finding(
        *spent, 0.0, 0, tuple(bool(one["exact_match"]) for one in lines), tuple(one["resps"][0][0] for one in lines)
    )


def run(environment: str, folder: Path, *arguments: object) -> tuple[tuple[float, float], str]:
    """Run a Python program of an environment; return its seconds, its processor seconds and what it printed."""
    made = subprocess.run([ROOT / "tools/ensure-env.sh", environment], check=True, capture_output=True, text=True)
    sources = ("platform/core/src", "platform/runtime/src", "jobs/src")
    variables = {
        **os.environ,
        **VARIABLES,
        "PYTHONPATH": ":".join([*(str(ROOT / source) for source in sources), str(folder / "metadata")]),
        "PRACTICUM_CACHE": str(folder / "cache"),
        "HF_HOME": str(folder / "hf"),
    }
    started_s, before_s = time.perf_counter(), _read_cpu()
    done = subprocess.run(
        [Path(made.stdout.strip()) / "bin" / "python", *map(str, arguments)],
        check=False, capture_output=True, text=True, env=variables, timeout=TIMEOUT_S, cwd=folder,
    )  # fmt: skip
    spent = time.perf_counter() - started_s, _read_cpu() - before_s
    if done.returncode != 0:
        sys.stderr.write(done.stderr[-4000:])
        raise SystemExit(f"{environment}: {arguments} ended with {done.returncode}")
    return spent, done.stdout


def _read_cpu() -> float:
    """Return the processor seconds of the children that have ended; other work on the machine does not add to them."""
    used = resource.getrusage(resource.RUSAGE_CHILDREN)
    return used.ru_utime + used.ru_stime


def link_model(folder: Path) -> None:
    """Give the bench's own cache the converted model, so that no run converts it."""
    (folder / "cache").mkdir(parents=True)
    shutil.copytree(get_cache_dir() / "models", folder / "cache" / "models", copy_function=os.link)


def _read_lock() -> list[str]:
    return (ROOT / "requirements/peers-eval.txt").read_text(encoding="utf-8").splitlines()


def _get_item(line: dict) -> int:
    return int(line["doc_id"])


def _goal(value: float, unit: str, goal: str, *, met: bool) -> dict:
    return {"value": round(value, 4), "unit": unit, "goal": goal, "met": met}
