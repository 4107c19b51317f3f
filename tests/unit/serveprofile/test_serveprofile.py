"""Options of servers as levers, and what a burst amounts to."""

from __future__ import annotations

import subprocess
import sys
from types import SimpleNamespace

import pytest
from pydantic import ValidationError

from practicum_core.stages.levers import CONTROL
from practicum_core.stages.load_results import LoadSample
from practicum_core.stages.serve import ServeConfig
from practicum_core.stages.serveprofile import LEVERS, ServeProfileConfig
from practicum_jobs.adapters.engine_server import ServerSettings
from practicum_jobs.adapters.vllm_server import build_options
from practicum_jobs.serveprofile.server import RunningServer, ServerFailedError
from practicum_jobs.serveprofile.stage import _Found, _note_end
from practicum_jobs.serveprofile.traffic import compare_answers, plan_burst, summarize_burst, write_burst


def make_sample(number, first_s, last_s, **fields):
    times = {"scheduled_s": 1.0, "sent_s": 1.0, "first_token_s": first_s, "last_token_s": last_s, "ended_s": last_s}
    return LoadSample(**{"id": f"0-{number}", "load": 0, "rate": 2.0, "completion_tokens": 5, **times, **fields})


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"levers": ("max_num_seq=4",)}, "did you mean 'max_num_seqs'"),
        ({"levers": ("model=other",)}, "is no lever"),
        ({"levers": ("kv_cache_dtype=int3",)}, "kv_cache_dtype"),
        ({"baseline": "port=80"}, "is no lever"),
    ],
)
def test_wrong_options_are_refused_before_a_server_starts(options, said):
    with pytest.raises(ValidationError, match=said):
        ServeProfileConfig(**options)


def test_every_lever_reaches_vllms_command_line(tmp_path):
    config = ServeProfileConfig()
    commands = {
        lever: build_options(ServerSettings(config.build_server(lever), tmp_path, ("m",), "127.0.0.1", 1))
        for lever in ("", *LEVERS)
    }
    assert len({tuple(words) for words in commands.values()}) == len(LEVERS) + 1
    assert "--kv-cache-dtype" not in commands[""]
    words = commands["kv_cache_dtype=fp8"]
    assert words[words.index("--kv-cache-dtype") + 1] == "fp8"
    assert ServeConfig().kv_cache_dtype == "auto"


def test_prompts_begin_alike_and_no_end_comes_twice():
    config = ServeProfileConfig(num_requests=4, shared_tokens=6, own_tokens=5)
    texts = [prompt.text.split() for number in range(3) for prompt in write_burst(config, number)]
    assert {tuple(words[:6]) for words in texts} == {tuple(texts[0][:6])}
    assert len({tuple(words[6:]) for words in texts}) == 12
    assert plan_burst(config).at_s == [0.0] * 4


def test_a_burst_counts_until_its_last_answer_and_without_its_failures():
    samples = [
        make_sample(0, 1.5, 2.0),
        make_sample(1, 2.0, 3.0),
        make_sample(2, None, None, error="lost", ended_s=3.0),
    ]
    burst = summarize_burst(samples, 2**30)
    assert burst.num_failed == 1
    assert burst.figures == {"tokens_per_s": 5.0, "ttft_s": 0.75, "tpot_s": 0.1875, "memory_gib": 1.0}
    assert summarize_burst(samples[2:], 0).figures == {}


def test_answers_are_compared_one_by_one():
    assert compare_answers(["a", "b", "c", "d"], ["a", "x", "c", "d"]) == 0.25


def test_a_server_that_ended_during_a_burst_is_a_failed_server():
    ended = subprocess.Popen([sys.executable, "-c", ""])
    ended.wait()
    watched = SimpleNamespace(pid=ended.pid, find_problem=lambda: "its process ended with -9")
    with pytest.raises(ServerFailedError, match="-9"):
        RunningServer("http://127.0.0.1:1", watched).measure_memory()


def test_where_the_baseline_ends_what_other_levers_gave_stays_and_the_rest_say_why():
    first = _Found(rounds=[{"baseline": {"tokens_per_s": 1.0}}])
    found = {CONTROL: first}
    _note_end(found, ["max_num_seqs=4", "dtype=float32"], "its process ended with -9")
    assert found[CONTROL] is first
    assert [one.note for one in list(found.values())[1:]] == [
        "the baseline's server ended: its process ended with -9 (its log: baseline.log)"
    ] * 2
    with pytest.raises(ServerFailedError, match="-9"):
        _note_end({}, [CONTROL, "max_num_seqs=4"], "its process ended with -9")
