import errno
import hashlib
import os

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from practicum_core.errors import DataError, PlatformError, Reason
from practicum_core.layout import RunLayout
from practicum_core.rows import Message, Row
from practicum_core.stages.snapshot import DataLock
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import (
    get_split_path,
    load_split,
    read_data_lock,
    read_split,
    write_data_lock,
    write_split,
)


def build_row(name: str, text: str = "q") -> Row:
    return Row(id=name, messages=[Message(role="user", content=text)], answer="a")


ROWS = [build_row(f"r{number}") for number in range(5)]


def test_a_split_is_named_by_its_bytes(tmp_path):
    lock = write_split(ROWS, tmp_path)
    path = get_split_path(lock.sha256, tmp_path)
    raw = path.read_bytes()
    assert hashlib.sha256(raw).hexdigest() == lock.sha256
    assert (lock.num_rows, lock.size_bytes) == (5, len(raw))
    assert list(read_split(lock, tmp_path)) == ROWS
    assert write_split(iter(ROWS), tmp_path) == lock
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == [path]


@settings(max_examples=50)
@given(st.lists(st.text(st.characters(exclude_categories=["Cs"])), max_size=5))
def test_any_text_comes_back(tmp_path_factory, texts):
    folder = tmp_path_factory.mktemp("store")
    rows = [build_row(str(number), text) for number, text in enumerate(texts)]
    assert list(read_split(write_split(rows, folder), folder)) == rows


def test_changed_bytes_are_noticed_before_the_first_row(tmp_path):
    lock = write_split(ROWS, tmp_path)
    path = get_split_path(lock.sha256, tmp_path)
    path.chmod(0o644)
    path.write_bytes(path.read_bytes().replace(b"r4", b"r5"))
    with pytest.raises(DataError, match="changed since they were locked"):
        next(read_split(lock, tmp_path))


def test_missing_bytes_say_what_to_do(tmp_path):
    lock = write_split(ROWS, tmp_path)
    get_split_path(lock.sha256, tmp_path).unlink()
    with pytest.raises(DataError) as caught:
        next(read_split(lock, tmp_path))
    assert caught.value.reason is Reason.DATA_MISSING
    assert "snapshot" in caught.value.fix


def test_rows_that_break_off_leave_nothing(tmp_path):
    def fail():
        yield ROWS[0]
        raise RuntimeError

    with pytest.raises(RuntimeError):
        write_split(fail(), tmp_path)
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


def test_a_full_disk_is_explained_and_leaves_nothing(tmp_path, monkeypatch):
    def fail(_descriptor):
        raise OSError(errno.ENOSPC, os.strerror(errno.ENOSPC))

    monkeypatch.setattr(os, "fsync", fail)
    with pytest.raises(PlatformError) as caught:
        write_split(ROWS, tmp_path)
    assert caught.value.reason is Reason.DISK_FULL
    assert [file for file in tmp_path.rglob("*") if file.is_file()] == []


@pytest.fixture
def context(tmp_path):
    (tmp_path / "run").mkdir()
    context = StageContext(tmp_path / "run", "sft", "sft", tmp_path / "cache")
    splits = {"train": write_split(ROWS, context.cache_dir)}
    write_data_lock(context.run, DataLock(uri="file:///x", splits=splits))
    return context


def test_stages_read_what_the_run_locked(context):
    assert load_split(context, "train") == ROWS
    assert load_split(context, "train", limit=2) == ROWS[:2]
    assert read_data_lock(context.run).uri == "file:///x"


def test_a_split_that_was_not_locked(context):
    with pytest.raises(DataError, match="did you mean 'train'") as caught:
        load_split(context, "trian")
    assert caught.value.reason is Reason.DATA_MISSING


def test_a_run_without_a_lock(tmp_path):
    with pytest.raises(DataError) as caught:
        read_data_lock(RunLayout(tmp_path))
    assert caught.value.reason is Reason.DATA_MISSING


@pytest.mark.parametrize("content", ["", "{", '{"uri": "x"}', "[]"])
def test_a_lock_that_was_cut_off_is_not_read_as_whole(content, tmp_path):
    layout = RunLayout(tmp_path)
    layout.data_lock.write_text(content)
    with pytest.raises(DataError) as caught:
        read_data_lock(layout)
    assert caught.value.reason is Reason.RUN_INCOMPLETE
