"""Values that no stage takes, in whichever option they stand: refused by its model, so that no stage meets them."""

from __future__ import annotations

import signal
from typing import get_args

import pytest
from pydantic import ValidationError

from practicum_core.stages import STAGES
from practicum_jobs.__main__ import main

KINDS = {
    "whole number": (int, 10**30),
    "text": (str, "a\0b"),
    "share": (float, float("nan")),
    "size": (float, float("inf")),
}


def list_options(kind):
    return [
        (stage, name)
        for stage, spec in STAGES.items()
        for name, field in spec.config.model_fields.items()
        if kind in (field.annotation, *get_args(field.annotation))
    ]


@pytest.mark.parametrize("kind", KINDS)
def test_no_option_takes_them(kind):
    wanted, value = KINDS[kind]
    options = list_options(wanted)
    assert len(options) > 5
    for stage, name in options:
        with pytest.raises(ValidationError) as caught:
            STAGES[stage].config.model_validate({name: value})
        assert name in {error["loc"][0] for error in caught.value.errors()}, (stage, name)


def test_every_confidence_leaves_an_interval_two_ends():
    options = [(stage, name) for stage, name in list_options(float) if name in {"confidence", "power"}]
    assert len(options) >= 4
    for stage, name in options:
        with pytest.raises(ValidationError, match=r"0\.9999"):
            STAGES[stage].config.model_validate({name: 1 - 1e-16})


@pytest.fixture
def signals():
    """Give this process its own signal handlers back, which a stage replaces."""
    handlers = {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    yield
    for number, handler in handlers.items():
        signal.signal(number, handler)


@pytest.mark.usefixtures("signals")
@pytest.mark.parametrize(("stage", "option"), [("inference", "merged"), ("audit", "data"), ("snapshot", "data")])
def test_a_path_that_is_too_long_is_told_and_no_fault(stage, option, tmp_path, capsys):
    (tmp_path / "config.yaml").write_text(f"{option}: /{'a' * 300}\n")
    code = main([stage, "--config", str(tmp_path / "config.yaml"), "--run-dir", str(tmp_path / "run")])
    assert code in (2, 3)
    assert "File name too long" in capsys.readouterr().err
