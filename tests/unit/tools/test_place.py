"""The one place for a bare cluster: taken by one at a time, kept by who inherits it, free when they end."""

from __future__ import annotations

import subprocess

import pytest

from practicum_cluster.place import Place


def test_a_second_one_is_told_who_has_it(tmp_path):
    first, second = Place(tmp_path / "cache/lock"), Place(tmp_path / "cache/lock")
    first.take("the first has it")
    first.take("asked again")
    assert (first.find_other(), second.find_other()) == (None, "the first has it")
    with pytest.raises(RuntimeError, match=r"^the first has it$"):
        second.take("the second has it", 0)
    first.release()
    assert second.find_other() is None
    second.take("the second has it", 0)
    with pytest.raises(RuntimeError, match=r"^the second has it$"):
        first.take("the first has it", 0)
    second.release()


def test_a_process_that_inherits_it_keeps_it_until_it_ends(tmp_path):
    first, second = Place(tmp_path / "lock"), Place(tmp_path / "lock")
    first.take("a process has it")
    with subprocess.Popen(["sleep", "60"], pass_fds=first.get_inherited()) as process:
        first.release()
        with pytest.raises(RuntimeError, match="a process has it"):
            second.take("", 0)
        process.kill()
    second.take("", 5)
    second.release()
