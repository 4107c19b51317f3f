from __future__ import annotations

import pytest
from pydantic import BaseModel, ValidationError

from practicum_core.problems import describe_problems, list_keys, list_problems
from practicum_core.stages.sft import SftConfig
from practicum_core.status import WeekJobStatus
from practicum_core.weekjob import WeekJob, WeekJobSpec


def find_problems(model: type[BaseModel], document, **options):
    with pytest.raises(ValidationError) as caught:
        model.model_validate(document)
    return list_problems(caught.value, model, **options)


def test_each_problem_names_path_fault_and_value():
    document = {"unit": "sft", "seed": "x", "resources": {"gpu": {"slice": 1}}, "modle": {}}
    assert set(find_problems(WeekJobSpec, document, prefix="spec.")) == {
        "spec.seed: input should be a valid integer, unable to parse string as an integer, got 'x'",
        "spec.resources.gpu.slice: unknown key; did you mean 'slices'?",
        "spec.modle: unknown key; did you mean 'model'?",
    }


def test_a_missing_key_is_called_missing_and_shows_no_value():
    assert find_problems(WeekJobSpec, {}) == ["unit: missing"]


def test_a_whole_document_of_the_wrong_kind_has_no_path():
    assert find_problems(SftConfig, [1, 2]) == ["input should be a valid dictionary or instance of SftConfig"]


def test_our_own_rules_are_told_without_pydantics_prefix_and_keep_their_case():
    assert find_problems(SftConfig, {"method": "QLoRA"}) == [
        "method: input should be 'full', 'lora' or 'qlora', got 'QLoRA'"
    ]
    assert "value error" not in " ".join(find_problems(WeekJob, {"metadata": {"name": "A b"}})).lower()


def test_a_long_value_is_shortened():
    (problem,) = find_problems(SftConfig, {"method": "x" * 5000})
    assert len(problem) < 300


def test_json_that_is_cut_off_is_told_once_without_the_document():
    with pytest.raises(ValidationError) as caught:
        WeekJobStatus.model_validate_json('{"phase": "Run')
    text = describe_problems(caught.value)
    assert text.startswith("invalid JSON: EOF")
    assert "https://" not in text


def test_the_keys_inside_a_list_are_known():
    assert "name" in list_keys(WeekJobStatus, ("stages", 0))
