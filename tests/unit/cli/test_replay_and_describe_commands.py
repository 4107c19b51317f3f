"""``practicum replay`` and ``practicum describe``: what they refuse before anything starts, and what they print."""

from __future__ import annotations

import pytest

from practicum_cli.commands.replay import find_trace
from practicum_cli.replay_table import describe_replay
from practicum_core.errors import ConfigError
from practicum_core.stages.experiments import Finding
from practicum_core.stages.loadtest import ClientCheck, LoadtestRecord, Objective
from practicum_core.stages.replays import ReplayComparison, ReplayVerdict
from practicum_core.traffic import TRAFFIC


@pytest.mark.parametrize(
    ("words", "said"),
    [
        (["replay", "nowhere", "http://127.0.0.1:1"], "no recorded traffic"),
        (["replay", TRAFFIC, "https://api.example.com/v1"], "--i-own-this-server"),
        (["replay", TRAFFIC, "http://127.0.0.1:1", "--set", "loadtest.search_steps=2"], "its own times"),
        (["replay", TRAFFIC, "http://127.0.0.1:1", "--set", 'loadtest.tolerances=["steps=8"]'], "tolerances"),
        (["describe"], "no service runs here"),
        (["describe", "missing"], "missing"),
        (["describe", "-n", "student-01"], "name the week job"),
    ],
)
def test_what_can_never_work_is_refused_before_anything_starts(workplace, command, words, said):
    (workplace / TRAFFIC).write_text("")
    code, _, err = command(*words)
    assert code == 2
    assert said in err
    assert "fix:" in err
    assert not list(workplace.glob("experiments/*/*"))


def test_a_trace_is_found_in_a_file_a_recording_and_a_run(tmp_path):
    run = tmp_path / "run"
    kept = run / "stages/front/artifacts" / TRAFFIC
    kept.parent.mkdir(parents=True)
    kept.write_text("")
    assert find_trace(run) == find_trace(kept.parent) == find_trace(kept) == kept
    with pytest.raises(ConfigError, match="no recorded traffic"):
        find_trace(tmp_path)


@pytest.mark.parametrize(
    ("verdict", "said"), [("same", "was the same"), ("differs", "differed"), ("not_comparable", "not comparable")]
)
def test_the_table_says_what_was_compared_and_the_verdict(verdict, said):
    findings = [
        Finding(name="outcomes", shown="9 full", bound="9 full ± 15%", is_met=True),
        Finding(name="step_times", shown="9.0 s", bound="<= 6 s", is_met=False),
    ]
    compared = ReplayComparison(number=1, verdict=ReplayVerdict(verdict), findings=findings, steps=[], num_requests=9)
    check = ClientCheck(is_ok=True, dispatch_p50_s=0, dispatch_p99_s=0, max_cpu_share=0)
    record = LoadtestRecord(
        stage="loadtest", step="loadtest", started_at="", finished_at="", duration_s=1, url="http://x", model="m",
        endpoint="chat", load="poisson", schedule_sha256="", prompts_sha256="", num_clients=2, levels=[],
        objective=Objective(ttft_s=1), client_check=check, replayed=compared,
    )  # fmt: skip
    text = describe_replay(record.model_dump(mode="json"))
    assert said in text.splitlines()[-1]
    assert "step times" in text
    assert text.count("differs") == 1
