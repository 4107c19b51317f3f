"""Stage environments: which interpreter serves, how one is made, and what reaches a stage."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path

import pytest

from practicum_cli import environments, locks
from practicum_cli.executor import StageRuntime
from practicum_cli.provenance import read_repository
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_core.errors import PlatformError, Reason, Stopped
from practicum_core.resolve import resolve_steps

ROOT = Path(__file__).parents[3]


@pytest.fixture
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("PRACTICUM_CACHE", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def small_locks(tmp_path, monkeypatch):
    """Locks of a package that is tiny, and of one that does not exist."""
    folder = tmp_path / "requirements"
    folder.mkdir()
    text = (ROOT / "requirements" / "base.txt").read_text()
    start = text.index("idna==")
    (folder / "small.txt").write_text(text[start : text.index("# via", start)])
    (folder / "broken.txt").write_text(f"no-such-package-of-practicum==1.0 --hash=sha256:{'0' * 64}\n")
    (folder / "base.txt").write_text(text)
    monkeypatch.setattr(locks, "get_requirements_dir", lambda: folder)
    monkeypatch.setattr(environments, "get_requirements_dir", lambda: folder)
    environments._is_served_by_own_interpreter.cache_clear()
    yield folder
    environments._is_served_by_own_interpreter.cache_clear()


def test_the_key_is_that_of_the_shell_script(cache):
    script = f"sha256sum {ROOT}/requirements/train.txt | cut -c1-12"
    key = subprocess.run(["bash", "-c", script], capture_output=True, text=True, check=True).stdout.strip()
    assert environments.get_environment_dir("train") == cache / "envs" / f"train-{key}"


def test_an_environment_is_made_once_and_marked_whole(cache, small_locks):
    python = environments.ensure_python("small")
    assert python == cache / "envs" / f"small-{locks.get_lock_key('small')}" / "bin" / "python"
    assert (python.parents[1] / ".practicum-lock").read_text().strip() == locks.get_lock_key("small")
    subprocess.run([python, "-c", "import idna"], check=True)
    before = python.parents[1].stat().st_mtime_ns
    assert environments.ensure_python("small") == python
    assert python.parents[1].stat().st_mtime_ns == before


def test_an_install_that_was_cut_off_is_made_again(cache, small_locks):
    folder = environments.get_environment_dir("small")
    (folder / "bin").mkdir(parents=True)
    (folder / "bin" / "python").write_text("half")
    assert environments.find_python("small") is None
    subprocess.run([environments.ensure_python("small"), "-c", "import idna"], check=True)


def test_a_failing_install_says_what_failed(cache, small_locks):
    with pytest.raises(PlatformError) as caught:
        environments.ensure_python("broken")
    assert caught.value.reason is Reason.ENVIRONMENT_MISSING
    assert "no-such-package-of-practicum" in caught.value.detail
    assert environments.find_python("broken") is None


def test_making_an_environment_can_be_stopped(cache, small_locks):
    with pytest.raises(Stopped):
        environments.ensure_python("small", lambda: True)
    assert environments.find_python("small") is None


def test_an_unknown_lock_says_so(cache):
    with pytest.raises(PlatformError, match=r"serve-gpu\.txt: no such lock"):
        environments.ensure_python("serve-gpu")


def test_the_own_interpreter_serves_what_its_lock_holds():
    marker = Path(sys.prefix) / ".practicum-lock"
    if not marker.exists():
        pytest.skip("needs an environment that tools/ensure-env.sh made")
    assert environments.find_python("base") == Path(sys.executable)


def test_a_cache_that_is_a_file_is_told(tmp_path, monkeypatch, small_locks):
    (tmp_path / "cache").write_text("mine")
    monkeypatch.setenv("PRACTICUM_CACHE", str(tmp_path / "cache"))
    with pytest.raises(PlatformError, match="cannot be written"):
        environments.ensure_python("small")
    assert (tmp_path / "cache").read_text() == "mine"


def test_a_stage_sees_just_its_packages(cache):
    folder = environments.ensure_stage_path()
    assert sorted(path.name for path in folder.iterdir()) == [
        "practicum_core",
        "practicum_gateway",
        "practicum_jobs",
        "practicum_runtime",
    ]
    assert environments.ensure_stage_path() == folder
    code = (
        "import practicum_core, practicum_jobs, practicum_runtime; import importlib.util as u;"
        "assert u.find_spec('practicum_cli') is None"
    )
    variables = {"PYTHONPATH": str(folder), "PATH": os.environ["PATH"]}
    subprocess.run([sys.executable, "-P", "-c", code], env=variables, check=True)


def test_variables_of_a_stage(cache, monkeypatch):
    monkeypatch.setenv("PYTHONHOME", "/nowhere")
    weekjob = build_weekjobs(("week-01",), RunRequest(profile="quick", model="hf://owner/name"))[0]
    steps = {step.name: step for step in resolve_steps(weekjob)}
    runtime = StageRuntime(num_threads=3)
    variables = runtime.build_variables(steps["evaluate"], lambda: False)
    assert variables["OMP_NUM_THREADS"] == "3"
    assert variables["PYTHONHASHSEED"] == "0"
    assert "PYTHONHOME" not in variables
    assert "HF_HUB_OFFLINE" not in variables
    assert runtime.build_variables(steps["snapshot"], lambda: False)["HF_HUB_OFFLINE"] == "1"


def test_a_dirty_work_tree_is_told_apart(tmp_path):
    def git(*arguments):
        identity = ["-c", "user.name=x", "-c", "user.email=x@example.org"]
        subprocess.run(["git", "-C", str(tmp_path), *identity, *arguments], check=True, capture_output=True)

    assert read_repository(tmp_path) == (None, "")
    git("init", "-q")
    assert read_repository(tmp_path) == (None, "")
    (tmp_path / "a.txt").write_text("one")
    git("add", ".")
    git("commit", "-qm", "first")
    clean, diff = read_repository(tmp_path)
    assert (clean.is_dirty, clean.diff_sha256, diff) == (False, None, "")
    (tmp_path / "a.txt").write_text("two")
    changed, diff = read_repository(tmp_path)
    assert changed.is_dirty
    assert "+two" in diff
    (tmp_path / "b.txt").write_text("new")
    assert read_repository(tmp_path)[0].diff_sha256 not in (None, changed.diff_sha256)
