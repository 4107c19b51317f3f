"""The command ``practicum loadtest``: what it refuses before anything starts, and the table that it prints."""

from __future__ import annotations

import pytest

from practicum_cli.load_table import describe_load
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_core.resolve import resolve_steps
from practicum_core.stages.loadtest import (
    Bottleneck,
    BottleneckName,
    ClientCheck,
    Estimate,
    LatencySummary,
    LoadLevel,
    LoadtestRecord,
    Objective,
    Proof,
)


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["https://api.example.com/v1"], "loadtest: https://api.example.com/v1 is neither on this machine"),
        (["https://api.example.com/v1"], "--i-own-this-server"),
        (["http://127.0.0.1.example.com:80"], "--i-own-this-server"),
        (["http://127.0.0.1:1", "--engine-url", "http://203.0.113.9"], "--i-own-this-server"),
        (["http://127.0.0.1:1", "--rate", "1,x"], "such as 1,2,4"),
        (["http://127.0.0.1:1", "--rate", "4,2"], "must rise"),
        (["http://127.0.0.1:1", "--rate", "0"], "above 0"),
        (["http://127.0.0.1:1", "--trace", "missing.jsonl"], "no file"),
        (["http://127.0.0.1:1", "--replay", "missing"], "no schedule"),
        (["http://127.0.0.1:1", "--trace", "trace.jsonl", "--load", "gamma"], "one of them"),
        (["http://127.0.0.1:1", "--key-file", "k", "--key-variable", "K"], "one of them"),
        (["http://user:secret@127.0.0.1:1"], "key_variable"),
        (["127.0.0.1:1"], "http://"),
        (["http://127.0.0.1:1", "--set", "loadtest.slo_ttft_s=0"], "slo_ttft_s"),
    ],
)
def test_what_can_never_work_is_refused_before_anything_starts(workplace, command, words, said):
    (workplace / "trace.jsonl").write_text('{"at_s": 1}\n')
    code, out, err = command("loadtest", *words)
    assert code == 2
    assert said in err
    assert "fix:" in err
    assert "secret" not in out + err
    assert not (workplace / "experiments/load-test").exists()


def build_latency(value):
    estimates = {name: Estimate(value=value * factor) for name, factor in (("p50", 1), ("p95", 2), ("p99", 3))}
    return LatencySummary(**estimates, mean=value)


def build_level(load, rate, **changes):
    values = {
        "load": load, "rate": rate, "start_s": 0, "end_s": 10, "scheduled_rate": rate, "reached_rate": rate,
        "num_requests": 20, "num_ok": 19, "num_failed": 1, "ttft": build_latency(0.1), "tpot": build_latency(0.01),
        "e2e": build_latency(0.5), "good_share": Estimate(value=0.95), "meets_slo": True, **changes,
    }  # fmt: skip
    return LoadLevel(**values)


def build_record(levels, **changes):
    values = {
        "stage": "loadtest", "step": "loadtest", "started_at": "", "finished_at": "", "duration_s": 1, "url": "http://x",
        "model": "m", "endpoint": "chat", "load": "poisson", "schedule_sha256": "", "prompts_sha256": "",
        "num_clients": 2, "objective": Objective(ttft_s=1),
        "client_check": ClientCheck(is_ok=True, dispatch_p50_s=0, dispatch_p99_s=0, max_cpu_share=0), **changes,
    }  # fmt: skip
    return LoadtestRecord(levels=levels, **values).model_dump(mode="json")


def test_the_table_shows_each_rate_the_knee_and_the_first_bottleneck():
    proof = Proof(metric="m", source="gateway", value=1, text_en="Requests waited in the queue.", text_zh="排队。")
    levels = [build_level(0, 2.0), build_level(1, 4.0, meets_slo=False, good_share=Estimate(value=0.5))]
    text = describe_load(
        build_record(
            levels,
            knee_rate=Estimate(value=2.0),
            knee_basis="bracketed",
            bottleneck=Bottleneck(name=BottleneckName.ENGINE_QUEUE, rate=4.0, proofs=[proof]),
        )
    )
    lines = text.splitlines()
    assert " ".join(lines[1].split()) == "2 2.00 19 1 0.100 0.200 0.300 0.010 0.500 1.500 0.0 95.0% met"
    assert lines[2].split()[-2:] == ["50.0%", "missed"]
    assert "up to 2 requests/s" in text
    assert "first bottleneck: engine queue\n  Requests waited in the queue." in text


def test_a_refused_rate_shows_no_latency():
    absent = dict.fromkeys(("ttft", "tpot", "itl", "e2e", "goodput", "good_share"))
    level = build_level(0, 2.0, refused="the client sent requests 900 ms late", meets_slo=False, **absent)
    check = ClientCheck(is_ok=False, why="late", dispatch_p50_s=0, dispatch_p99_s=0.9, max_cpu_share=0)
    text = describe_load(build_record([level], client_check=check))
    assert text.splitlines()[1].split() == ["2", "2.00", "19", "1", *["-"] * 8, "refused"]
    assert "refused at 2/s: the client sent requests 900 ms late" in text
    assert "the client was the limit" in text


def test_one_wrong_option_of_a_server_is_one_problem(workplace, command):
    code, _, err = command("run", "week-07", "--set", "serve.max_num_seqs=0")
    assert code == 2
    assert err.startswith(
        "error: ConfigInvalid: serve.max_num_seqs: input should be greater than or equal to 1, got 0\n"
    )


def test_a_mapping_becomes_texts_as_in_a_week_job():
    [weekjob] = build_weekjobs(("week-07",), RunRequest(overrides=("serve.adapters={student-01: latest:sft/adapter}",)))
    assert weekjob.spec.set == {"serve.adapters": ["student-01=latest:sft/adapter"]}
    [serve] = [step.config for step in resolve_steps(weekjob) if step.name == "serve"]
    assert serve.adapters == {"student-01": "latest:sft/adapter"}


def test_rates_are_given_as_numbers():
    options = {"week-06": "quantcheck.concurrency=[1, 4]", "week-07": "loadtest.rates=[2, 4.5, 8]"}
    weekjobs = [build_weekjobs((week,), RunRequest(overrides=(option,)))[0] for week, option in options.items()]
    configs = {step.name: step.config for weekjob in weekjobs for step in resolve_steps(weekjob)}
    assert configs["loadtest"].rates == (2.0, 4.5, 8.0)
    assert configs["quantcheck"].concurrency == (1, 4)
