"""Options of an evaluation: which engine needs which, what is refused, and the environment that each runs in."""

from __future__ import annotations

import pytest
from pydantic import ValidationError

from practicum_core.problems import list_problems
from practicum_core.resolve import ResolvedStep
from practicum_core.stages.evaluate import SPEC, EvaluateConfig
from practicum_core.stages.spec import StageSpec
from practicum_core.texts import Bilingual

URL = {"engine": "openai", "base_url": "http://127.0.0.1:8000/v1"}


@pytest.mark.parametrize(
    ("options", "environment"),
    [({}, "train"), ({"engine": "vllm"}, "serve"), ({"engine": "llama_cpp"}, "serve"), (URL, "base")],
)
def test_the_engine_decides_the_environment(options, environment):
    step = ResolvedStep("evaluate", SPEC, EvaluateConfig(**options))
    assert step.environment == environment


def test_a_stage_cannot_choose_an_environment_that_it_does_not_name():
    spec = StageSpec(
        "made", Bilingual("a", "a"), "base", EvaluateConfig, SPEC.record, choose_environment=lambda _: "serve"
    )
    with pytest.raises(ValueError, match="stage made does not name the environment serve"):
        ResolvedStep("made", spec, EvaluateConfig()).environment  # noqa: B018 - the property raises


@pytest.mark.parametrize(
    ("options", "message"),
    [
        ({"engine": "llamacpp"}, "engine: input should be 'transformers', 'vllm', 'llama_cpp' or 'openai'"),
        ({"engine": "openai"}, "engine openai needs base_url"),
        ({"base_url": "http://x"}, "base_url belongs to engine openai, and the engine is transformers"),
        ({"engine": "vllm", "served_model": "m"}, "served_model belongs to engine openai"),
        ({"engine": "llama_cpp", "dtype": "float32"}, "engine llama_cpp has no choice of dtype"),
        ({**URL, "candidate": "builtin:x"}, "both models are one served model"),
        ({"scorer": "bleu"}, "scorer: input should be 'auto'"),
        ({"split": "train"}, "split: models are made with the split train"),
    ],
)
def test_wrong_options_are_told_in_one_line(options, message):
    with pytest.raises(ValidationError) as caught:
        EvaluateConfig(**options)
    (problem,) = list_problems(caught.value, EvaluateConfig)
    assert message in problem


def test_two_models_of_one_server_are_told_apart_by_name():
    assert EvaluateConfig(**URL, candidate="builtin:x", candidate_served_model="tuned").candidate_url is None


@pytest.mark.parametrize("option", ["base_url", "candidate_url"])
@pytest.mark.parametrize(
    ("url", "message"),
    [
        ("http://user:hush-hush@host/v1", "give the key in api_key_env"),
        ("http://hush-hush@host/v1", "give the key in api_key_env"),
        ("http://host/v1?api_key=hush-hush", "give the key in api_key_env"),
        ("http://host/v1#hush-hush", "give the key in api_key_env"),
        ("host:8000/hush-hush", "starts with http:// or https://"),
    ],
)
def test_an_address_that_may_hold_a_key_is_refused_and_not_shown(option, url, message):
    with pytest.raises(ValidationError) as caught:
        EvaluateConfig(**{**URL, option: url})
    (problem,) = list_problems(caught.value, EvaluateConfig)
    assert message in problem
    assert "hush-hush" not in problem


def test_the_address_of_a_step_is_kept():
    assert EvaluateConfig(engine="openai", base_url="step:serve").base_url == "step:serve"
