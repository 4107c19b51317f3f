"""The unit ``availability`` with the fake engine in the place of vLLM, and with shorter times."""

from __future__ import annotations

from dataclasses import replace

from practicum_core.units.availability import AVAILABILITY

_FAST = {
    "ladder_first_token_s": 3.0,
    "ladder_down_s": 0.5,
    "ladder_up_s": 1.0,
    "ladder_settle_s": 8.0,
    "ladder_window_s": 2.0,
    "probe_s": 0.2,
    "probe_timeout_s": 2.0,
    "breaker_open_s": 0.3,
    "request_timeout_s": 6.0,
}


def _replace_step(step):
    if step.name == "serve":
        return replace(step, stage="fakeserve", config={}, quick={})
    if step.name == "gateway":
        return replace(step, config={**step.config, **_FAST})
    return step


FAULTY = replace(AVAILABILITY, name="faulty", steps=tuple(map(_replace_step, AVAILABILITY.steps)))
UNITS = (FAULTY,)
