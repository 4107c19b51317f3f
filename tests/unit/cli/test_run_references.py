"""Runs on this machine that are built on earlier ones: how they start, compare and are verified."""

from __future__ import annotations

import json
import shutil
from pathlib import Path

import pytest

from practicum_cli.control import check_control
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.session import start_run
from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.lineage import read_lineage
from practicum_core.pointers import Pointers
from run_folder import write_finished_run

EARLIER, LATER = "20250102t030405-0a1b2c", "20250203t040506-0a1b2c"
MERGED = "stages/sft/artifacts/merged"


@pytest.fixture
def merged(workplace):
    """What an earlier week 3 exported."""
    run = write_finished_run(workplace / "experiments/sft" / EARLIER, "sft")
    (run.root / MERGED).mkdir(parents=True)
    (run.root / MERGED / "config.json").write_text("{}")
    Pointers(workplace / "experiments").set("best", f"sft/{EARLIER}", "")
    return run.root / MERGED


def build(model, *overrides):
    return build_weekjobs(("week-01",), RunRequest(profile="quick", model=model, overrides=overrides))[0]


@pytest.fixture
def start(execute):
    """Return a function that takes a week built on earlier runs to its end, and returns its directory."""

    def run(model, *overrides):
        path = start_run(Path("experiments"), build(model, *overrides))
        assert execute(path) == 0
        return path

    return run


@pytest.mark.parametrize("week", ["week-04", "week-06"])
def test_a_week_that_builds_on_week_3_says_so_where_there_is_none(command, workplace, week):
    code, _, err = command("run", week, "--profile", "quick")
    assert code == 2
    assert "latest:sft/merged: no finished run of week-03 in experiments" in err
    assert "run week-03 first" in err


def test_a_model_that_no_step_would_read_is_refused():
    with pytest.raises(ConfigError, match="the steps of this week read latest:sft/merged") as raised:
        build_weekjobs(("week-06",), RunRequest(profile="quick", model="hf://owner/name"))
    assert "--set quantize.model=hf://owner/name" in str(raised.value.fix)
    build_weekjobs(("week-06",), RunRequest(profile="quick", model="latest:sft/merged"))
    build_weekjobs(("week-03", "week-06"), RunRequest(profile="quick", model="hf://owner/name"))


@pytest.mark.parametrize("uri", ["latest:sft", "latest:week-03/merged", "pointer:best", f"run:{EARLIER}/{MERGED}"])
def test_a_run_starts_from_what_a_reference_names(merged, start, uri):
    path = start(uri)
    (locked,) = read_lineage(RunLayout(path)).built_on
    assert (locked.reference, locked.run, locked.path) == (uri, f"sft/{EARLIER}", MERGED)
    assert locked.sha256 == hash_path(merged)


def test_nothing_starts_where_nothing_is_found(merged, command):
    before = sorted(Path.cwd().rglob("*"))
    for uri, said in {
        "latest:data": "latest:data: no finished run of week-02 in experiments",
        "latest:sft/adapter": f"run sft/{EARLIER} left no stages/sft/artifacts/adapter",
        "pointer:beste": "no pointer 'beste'; did you mean 'best'?",
        f"run:{LATER}": "no such run in experiments",
    }.items():
        code, _, err = command("run", "week-01", "--profile", "quick", "--model", uri)
        assert (code, said in err) == (2, True), err
        assert "Traceback" not in err
    assert sorted(Path.cwd().rglob("*")) == before


SPELLINGS = {
    "dots": "latest:..",
    "dots behind the unit": "latest:sft/../../../other",
    "absolute": "latest:sft//etc/passwd",
    "percent signs": "latest:sft/%2e%2e/other",
    "unicode dots": "latest:sft/．．/other",
    "backslashes": "latest:sft\\..\\other",
    "a run id with slashes": f"run:{EARLIER}/../../../../other",
    "another folder of runs": f"run:../other/experiments/sft/{EARLIER}",
    "a pointer that is a path": "pointer:../../other/experiments/pointers/best",
    "an edited pointer": "pointer:away",
    "a link": "latest:sft/stages/sft/artifacts/away",
}


@pytest.mark.parametrize("option", ["--model", "--data", "--set"])
@pytest.mark.parametrize("uri", SPELLINGS.values(), ids=SPELLINGS)
def test_no_spelling_leaves_the_folder_of_runs(merged, command, uri, option, tmp_path):
    other = write_finished_run(tmp_path / "other/experiments/sft" / EARLIER, "sft")
    (other.root / "secret").write_text("of another student")
    (merged.parent / "away").symlink_to(other.root)
    Path("experiments/pointers/away.json").write_text(json.dumps({"run": f"../../other/experiments/sft/{EARLIER}"}))
    word = f"evaluate.candidate={uri}" if option == "--set" else uri
    code, _, err = command("run", "week-01", "--profile", "quick", option, word)
    assert code in (2, 3), err
    assert "another student" not in err
    assert "Traceback" not in err
    assert not Path("experiments/experiments").exists()


def test_runs_are_compared_by_what_they_were_built_on(merged, start, command):
    first = start("latest:sft", "evaluate.candidate=latest:sft/merged")
    same = start(f"run:{EARLIER}", "evaluate.candidate=pointer:best")
    code, out, _ = command("diff", first.name, same.name)
    assert (code, out.splitlines()[0]) == (0, "0 factors differ")
    other = write_finished_run(Path("experiments/sft") / LATER, "sft")
    (other.root / MERGED).mkdir(parents=True)
    (other.root / MERGED / "config.json").write_text('{"other": true}')
    changed = start(f"run:{EARLIER}", "evaluate.candidate=latest:sft/merged")
    code, out, _ = command("diff", first.name, changed.name)
    assert (code, out.splitlines()[0]) == (0, "1 factor differs: evaluate.candidate")
    weekjob = build("pointer:best", f"evaluate.candidate=run:{EARLIER}")
    assert check_control(weekjob, first.name, Path("experiments"))[1].comparison.factor is None


def test_verify_says_what_it_was_built_on_and_is_gone_or_changed(merged, start, command):
    path = start("latest:sft")
    (merged / "config.json").write_text("[]")
    code, _, err = command("verify", path.name)
    assert (code, f"{MERGED} of run sft/{EARLIER} changed since this run started" in err) == (3, True), err
    shutil.rmtree(merged.parents[3])
    code, _, err = command("verify", path.name)
    assert (code, f"{MERGED} of run sft/{EARLIER} is gone" in err) == (3, True), err
    for words in (("status", path.name), ("summarize",), ("diff", path.name, path.name)):
        assert command(*words)[0] == 0
