"""The document of a deployment: everything that it must say, in both languages, from one value."""

from __future__ import annotations

import re

import pytest

from practicum_core.deployment import (
    Alert,
    Capacity,
    Component,
    Deployment,
    Limit,
    RungMeasured,
    Tried,
    Words,
    write_document,
)
from practicum_core.rungs import Rung


def build_deployment(**changes):
    gateway = Component(
        name="gateway",
        title=Words(en="passes requests on", zh="转发请求"),
        url="http://127.0.0.1:8080",
        state=Words(en="ready", zh="就绪"),
        is_ready=True,
        versions={"aiohttp": "3.14.5"},
        ready_path="/readyz",
        live_path="/healthz",
        startup_s=60,
        limits=[Limit(title=Words(en="requests that wait", zh="排队请求"), value="256")],
    )
    values = {
        "subject": "availability/20260102t030405-0a1b2c",
        "made_at": "2026-01-02T03:04:05Z",
        "version": "1.0",
        "machine": "a machine",
        "components": [gateway],
        "rungs": [
            RungMeasured(rung=Rung.FULL, num_requests=9, e2e_p50_s=0.5, e2e_p95_s=1.25),
            RungMeasured(rung=Rung.EXTRACT),
        ],
        "capacity": Capacity(
            run="serving/20260101t030405-0a1b2c", model="smollm2", rate=4.0, low=2.0, high=8.0,
            objective=Words(en="95% of requests: first token within 2 s", zh="95% 的请求"), bottleneck="decode",
        ),
        "tried": [
            Tried(title=Words(en="killed", zh="杀死"), verdict=Words(en="held", zh="经受住"), is_held=True, back_s=71.2)
        ],
        "weaknesses": [Words(en="there is one engine", zh="只有一个引擎")],
        "alerts": [Alert(name="errors_burn", rule="error|gone > 14.4%", summary=Words(en="burns", zh="消耗过快"))],
    }  # fmt: skip
    return Deployment(**{**values, **changes})


@pytest.mark.parametrize("language", ["en", "zh"])
def test_the_document_says_everything_in_each_language(language):
    text = write_document(build_deployment(), language)
    for said in (
        "aiohttp 3.14.5",
        "/readyz",
        "256",
        "1.25 s",
        "71.2 s",
        "decode",
        "errors_burn",
        r"error\|gone > 14.4%",
    ):
        assert said in text
    own = {"en": ["ready", "there is one engine", "full answer"], "zh": ["就绪", "只有一个引擎", "完整回答"]}
    assert all(word in text for word in own[language])
    assert not any(word in text for word in own["zh" if language == "en" else "en"][1:])
    columns = [line.count("|") - 2 * line.count("\\|") for line in text.splitlines() if line.startswith("|")]
    assert min(columns) >= 3


def test_both_languages_have_the_same_parts():
    shapes = [
        [re.match(r"#+|\||-|", line).group() for line in write_document(build_deployment(), language).splitlines()]
        for language in ("en", "zh")
    ]
    assert shapes[0] == shapes[1]


def test_what_is_not_there_is_said():
    bare = build_deployment(rungs=[], capacity=None, tried=[], weaknesses=[], alerts=[])
    text = write_document(bare, "en")
    for said in ("There is none: while", "Not measured", "None was tried.", "None is known", "## Alerts\nNone."):
        assert said in text
    unmet = bare.model_copy(update={"capacity": build_deployment().capacity.model_copy(update={"rate": None})})
    assert "No rate met the SLO" in write_document(unmet, "en")
