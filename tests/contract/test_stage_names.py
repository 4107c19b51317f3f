"""Nothing outside its own rooms names a stage: what the platform knows of it stands in its SPEC."""

from __future__ import annotations

import ast
from pathlib import Path

import pytest

from practicum_core.stages import STAGES

ROOT = Path(__file__).parents[2]
SOURCES = ("platform/*/src/**/*.py", "jobs/src/**/*.py", "services/*/src/**/*.py")
CURRICULUM = ("platform/core/src/practicum_core/curriculum.py", "platform/core/src/practicum_core/units/")
OTHER_MEANINGS = {
    "compare": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum compare`",
    },
    "audit": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum audit`",
        "platform/cli/src/practicum_cli/commands/audit.py": "the command, its unit and its only step",
        "platform/controller/src/practicum_controller/course/homes.py": "a mode of Pod Security admission",
        "jobs/src/practicum_jobs/report/findings.py": "a section of the page",
        "jobs/src/practicum_jobs/report/messages.py": "a section of the page",
        "jobs/src/practicum_jobs/report/titles.py": "a section of the page",
    },
    "capstone": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum capstone`",
    },
    "blind": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum blind`",
        "platform/cli/src/practicum_cli/commands/blind.py": "the unit of the command",
    },
    "describe": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum describe`",
    },
    "dossier": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum dossier`",
        "platform/cli/src/practicum_cli/commands/dossier.py": "the command, and the only step of its unit",
    },
    "model": {
        "platform/core/src/practicum_core/crd.py": "the field spec.model",
        "platform/core/src/practicum_core/deployment.py": "a value in a sentence",
        "platform/core/src/practicum_core/factors.py": "the field spec.model",
        "platform/core/src/practicum_core/resolve.py": "the field spec.model",
        "platform/core/src/practicum_core/stages/base.py": "a kind of content",
        "platform/core/src/practicum_core/stages/spec.py": "a kind of lock",
        "platform/core/src/practicum_core/stages/training.py": "a kind of content",
        "platform/cli/src/practicum_cli/request.py": "the option --model",
        "platform/cli/src/practicum_cli/summary.py": "a column of the table",
        "platform/cli/src/practicum_cli/verification.py": "a factor: the model of a run",
        "platform/core/src/practicum_core/stages/quantize.py": "a kind of content",
        "platform/controller/src/practicum_controller/backends/inference_service.py": "a field of KServe's predictor",
        "jobs/src/practicum_jobs/agent/replica.py": "the option of a server of models",
        "jobs/src/practicum_jobs/adapters/gguf_export.py": "a key of tokenizer.json",
        "platform/cli/src/practicum_cli/announcement.py": "a field of OpenAI's requests",
        "platform/cli/src/practicum_cli/commands/serve.py": "the argument of `practicum serve`",
        "services/gateway/src/practicum_gateway/prober.py": "a field of OpenAI's requests",
        "jobs/src/practicum_jobs/chaos/world.py": "a field of OpenAI's requests",
        "services/gateway/src/practicum_gateway/shortening.py": "a field of OpenAI's requests",
        "services/gateway/src/practicum_gateway/stand_in.py": "a field of OpenAI's answers",
        "services/gateway/src/practicum_gateway/inspection.py": "a field of OpenAI's requests",
        "services/gateway/src/practicum_gateway/pages.py": "a field of OpenAI's requests",
        "services/gateway/src/practicum_gateway/relay.py": "a field of OpenAI's requests",
        "services/gateway/src/practicum_gateway/upstream.py": "a field of OpenAI's requests",
        "jobs/src/practicum_jobs/adapters/answers_server.py": "a field of the OpenAI interface",
        "jobs/src/practicum_jobs/adapters/vllm_server.py": "an option of vLLM",
        "jobs/src/practicum_jobs/adapters/engine_server.py": "a field of OpenAI's requests",
        "jobs/src/practicum_jobs/adapters/llama_server.py": "a field of OpenAI's requests",
        "platform/core/src/practicum_core/stages/trainprofile.py": "an option of sft",
        "platform/core/src/practicum_core/stages/serve.py": "an option of serve",
        "platform/core/src/practicum_core/stages/serveprofile.py": "an option of serve",
        "jobs/src/practicum_jobs/serveprofile/traffic.py": "a field of OpenAI's requests",
        "jobs/src/practicum_jobs/replayeval/asking.py": "a field of OpenAI's requests",
        "jobs/src/practicum_jobs/blind/model_names.py": "the name of a folder",
        "jobs/src/practicum_jobs/context.py": "a kind of content",
        "jobs/src/practicum_jobs/datasets/turns.py": "a role in files of dialogues",
        "jobs/src/practicum_jobs/inference/exports.py": "a kind of content",
        "jobs/src/practicum_jobs/load/fleet.py": "a field of OpenAI's requests",
        "jobs/src/practicum_jobs/load/guidellm_export.py": "a field of guidellm's report",
        "jobs/src/practicum_jobs/judge/http_judge.py": "a field of the OpenAI interface",
        "jobs/src/practicum_jobs/rungcheck/stage.py": "a field of OpenAI's requests",
        "jobs/src/practicum_jobs/report/messages.py": "a section of the page",
        "jobs/src/practicum_jobs/report/reading.py": "a kind of lock",
        "jobs/src/practicum_jobs/report/sources.py": "a section of the page",
        "jobs/src/practicum_jobs/report/titles.py": "a section of the page",
    },
    "quantize": {
        "platform/core/src/practicum_core/environments.py": "the environment of that name",
    },
    "gateway": {
        "platform/core/src/practicum_core/stages/traces.py": "a place where a span is measured",
        "jobs/src/practicum_jobs/load/signals.py": "a source of the metrics of a load test",
        "jobs/src/practicum_jobs/load/scrape.py": "a source of metrics",
        "platform/core/src/practicum_core/environments.py": "the environment of that name",
    },
    "chaos": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum chaos`",
    },
    "loadtest": {
        "platform/cli/src/practicum_cli/main.py": "the command `practicum loadtest`",
    },
    "serve": {
        "platform/controller/src/practicum_controller/backends/ray_service.py": "a port's name for KubeRay",
        "platform/core/src/practicum_core/environments.py": "the environment of that name",
        "platform/core/src/practicum_core/stages/evaluate.py": "the environment of that name",
        "platform/core/src/practicum_core/stages/quantcheck.py": "the environment of that name",
        "platform/core/src/practicum_core/stages/serveprofile.py": "the environment of that name",
        "platform/cli/src/practicum_cli/main.py": "the command `practicum serve`",
    },
    "report": {
        "jobs/src/practicum_jobs/report/findings.py": "a text of the page",
        "jobs/src/practicum_jobs/report/messages.py": "a text of the page",
    },
}
"""Words that are a stage's name and mean something else here, by file. A new line in this table needs such a reason."""


def list_files():
    for pattern in SOURCES:
        yield from sorted(ROOT.glob(pattern))


def list_constants(tree):
    """Return the texts that code holds, without docstrings (and so without doctests)."""
    documented = (ast.Module, ast.ClassDef, ast.FunctionDef, ast.AsyncFunctionDef)
    docstrings = {
        id(node.body[0].value)
        for node in ast.walk(tree)
        if isinstance(node, documented) and node.body and isinstance(node.body[0], ast.Expr)
    }
    texts = [node for node in ast.walk(tree) if isinstance(node, ast.Constant) and isinstance(node.value, str)]
    return [(node.lineno, node.value) for node in texts if id(node) not in docstrings]


TEXTS = {
    path.relative_to(ROOT).as_posix(): list_constants(ast.parse(path.read_text(encoding="utf-8")))
    for path in list_files()
}


@pytest.mark.parametrize("stage", STAGES)
def test_a_stage_is_named_in_its_rooms_and_the_curriculum_alone(stage):
    module = STAGES[stage].program.rpartition(".")[2]
    rooms = (f"platform/core/src/practicum_core/stages/{stage}.py", f"jobs/src/practicum_jobs/{module}/", *CURRICULUM)
    allowed = OTHER_MEANINGS.get(stage, {})
    found = {
        f"{path}:{line}"
        for path, constants in TEXTS.items()
        for line, text in constants
        if text == stage and not path.startswith(rooms) and path not in allowed
    }
    assert not found, f"say it in the SPEC of {stage}, which every room can read: {sorted(found)}"


@pytest.mark.parametrize("stage", OTHER_MEANINGS)
def test_every_exception_is_needed(stage):
    used = {path for path, constants in TEXTS.items() if any(text == stage for _, text in constants)}
    assert set(OTHER_MEANINGS[stage]) <= used
