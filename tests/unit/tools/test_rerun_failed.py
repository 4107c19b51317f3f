"""Whole runs of made-up tests: which failed ones are run again, and what is said of them."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

import pytest

TOOLS = Path(__file__).parents[3] / "tools"
INSTALLERS = ("ensure-model.sh", "test-packages.sh", "cluster/packages.sh", "cluster/build-ahead.sh")
FILES = {
    "pytest.ini": "[pytest]\ntestpaths = tests/unit tests/integration tests/browser tests/cluster\nmarkers = node\n",
    "tests/unit/test_rest.py": """
import pytest

def test_steady():
    open("ran-in-vain", "w").close()

@pytest.mark.parametrize("word", ["a - b", "c::d"])
def test_unsteady(word):
    pass

def test_broken():
    assert False
""",
    "tests/integration/test_processes.py": """
import pathlib

def test_unsteady():
    with pathlib.Path("log").open("a") as file:
        print("ran", file=file)
    assert pathlib.Path("log").read_text().split() == ["ran", "ran"]
""",
    "tests/browser/test_pages.py": "def test_page():\n    pass\n",
    "tests/cluster/test_node.py": "import pytest\n\n@pytest.mark.node\ndef test_node():\n    pass\n",
}


@pytest.fixture
def checkout(tmp_path):
    """A folder with the two programs and made-up tests, where nothing is to be installed."""
    programs = {"ensure-env.sh": f"echo {tmp_path}/env"} | dict.fromkeys(INSTALLERS, "true")
    for name, text in [*FILES.items(), *((f"tools/{name}", f"#!/bin/sh\n{line}\n") for name, line in programs.items())]:
        (tmp_path / name).parent.mkdir(parents=True, exist_ok=True)
        (tmp_path / name).write_text(text)
        (tmp_path / name).chmod(0o755)
    for name in ("run-tests.sh", "rerun_failed.py"):
        shutil.copy(TOOLS / name, tmp_path / "tools")
    (tmp_path / "env" / "bin").mkdir(parents=True)
    (tmp_path / "env" / "bin" / "python").write_text(f'#!/bin/sh\nexec {sys.executable} "$@"\n')
    (tmp_path / "env" / "bin" / "python").chmod(0o755)
    return tmp_path


def run(command, folder):
    done = subprocess.run(command, cwd=folder, capture_output=True, text=True, check=False, timeout=120)
    return done.returncode, done.stdout


def rerun(folder, *caches):
    """Run the program as after a process for each cache, in which these tests failed, and one in which none did."""
    for number, names in enumerate(caches):
        file = folder / str(number) / "v" / "cache" / "lastfailed"
        file.parent.mkdir(parents=True)
        file.write_text(json.dumps({f"tests/unit/test_rest.py::{name}": True for name in names}))
    return run([sys.executable, "tools/rerun_failed.py", *(str(number) for number in range(len(caches) + 1))], folder)


def test_a_whole_run_with_one_unsteady_test_is_green_and_names_it(checkout):
    rest = checkout / "tests/unit/test_rest.py"
    rest.write_text(rest.read_text().replace("assert False", "pass"))
    status, out = run(["tools/run-tests.sh"], checkout)
    assert status == 0, out
    names = ("test_rest.py ....", "test_node.py .", "test_pages.py .", "test_processes.py F", "test_processes.py .")
    assert [out.count(name) for name in names] == [1] * 5
    name = "tests/integration/test_processes.py::test_unsteady"
    assert out.endswith(f"UNSTEADY: failed in the run and passed alone; mend them (1):\n  {name}\n")


def test_what_fails_twice_is_named_and_the_run_is_red(checkout):
    status, out = rerun(checkout, ["test_unsteady[a - b]", "test_broken"], ["test_unsteady[c::d]"])
    assert status == 1
    names = [
        f"tests/unit/test_rest.py::{name}" for name in ("test_broken", "test_unsteady[a - b]", "test_unsteady[c::d]")
    ]
    assert "\n  ".join(["Failed twice (1):", names[0]]) in out
    assert out.endswith("\n  ".join(["mend them (2):", *names[1:]]) + "\n")
    assert not (checkout / "ran-in-vain").exists()


FOUR = ["test_steady", "test_gone", "test_unsteady[a - b]", "test_unsteady[c::d]"]


@pytest.mark.parametrize("failed", [[], FOUR], ids=["none", "four"])
def test_more_than_three_or_a_failure_outside_the_tests_is_red_at_once(checkout, failed):
    assert rerun(checkout, failed)[0] == 1
    assert not (checkout / "ran-in-vain").exists()


def test_a_test_that_is_no_longer_there_has_not_passed(checkout):
    status, out = rerun(checkout, ["test_gone"])
    assert status == 1
    assert "Failed twice (1)" in out
