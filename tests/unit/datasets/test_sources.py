import json
import os
from pathlib import Path

import fsspec
import pytest

from practicum_core.errors import ConfigError, DataError, PlatformError, Reason
from practicum_core.rows import Row
from practicum_jobs.datasets import remote
from practicum_jobs.datasets.sources import open_source

RECORD = {"instruction": "Add.", "output": "3"}


def write(path: Path, records=(RECORD,)) -> None:
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(record) + "\n" for record in records))


def test_the_same_data_has_one_uri(tmp_path):
    uris = ["builtin:tickets", "builtin:tickets?seed=7", "builtin:tickets?language=en&rows=2000", "builtin://tickets"]
    assert {open_source(uri, tmp_path).uri for uri in uris} == {"builtin:tickets?language=en&rows=2000&seed=7"}
    write(tmp_path / "a b.jsonl")
    uris = [str(tmp_path / "a b.jsonl"), f"file://{tmp_path}/a%20b.jsonl", f"{tmp_path}/./a b.jsonl"]
    assert {open_source(uri, tmp_path).uri for uri in uris} == {(tmp_path / "a b.jsonl").as_uri()}


def test_builtin_rows_need_no_file(tmp_path):
    source = open_source("builtin:tickets?rows=200", tmp_path)
    assert source.splits == ("train", "validation", "test", "control")
    assert source.generator_version == "tickets-1"
    assert len(list(source.iter_split("train"))) == 200
    assert list(tmp_path.iterdir()) == []


def test_the_flawed_edition_is_files_with_truth(tmp_path):
    source = open_source("builtin:tickets-flawed?rows=200", tmp_path)
    assert source.splits == ("train", "validation", "test")
    assert source.truth is not None
    assert source.truth.is_file()
    assert "language=both" in source.uri
    assert all(file.is_relative_to(tmp_path) for files in source.files.values() for file in files)


def test_a_file_is_train(tmp_path):
    write(tmp_path / "mine.jsonl")
    source = open_source(str(tmp_path / "mine.jsonl"), tmp_path)
    assert source.splits == ("train",)
    assert [row.id for row in source.iter_split("train")] == ["mine.jsonl:1"]


def test_a_folder_of_split_files(tmp_path):
    for name in ("test.jsonl", "train-00001-of-00002.jsonl", "train-00000-of-00002.jsonl", "dev.json", "truth.jsonl"):
        write(tmp_path / name)
    (tmp_path / "README.md").write_text("no data")
    source = open_source(tmp_path.as_uri(), tmp_path)
    assert source.splits == ("train", "validation", "test")
    expected = ["train-00000-of-00002.jsonl:1", "train-00001-of-00002.jsonl:1"]
    assert [row.id for row in source.iter_split("train")] == expected
    assert source.truth == tmp_path / "truth.jsonl"


def test_a_folder_with_a_folder_per_split(tmp_path):
    write(tmp_path / "train" / "part-0.jsonl")
    write(tmp_path / "test" / "part-0.jsonl")
    source = open_source(str(tmp_path), tmp_path)
    assert [row.id for split in source.splits for row in source.iter_split(split)] == [
        "train/part-0.jsonl:1",
        "test/part-0.jsonl:1",
    ]


def test_a_hub_style_data_folder(tmp_path):
    write(tmp_path / "data" / "train-00000-of-00001.jsonl")
    write(tmp_path / "data" / "test-00000-of-00001.jsonl")
    assert open_source(str(tmp_path), tmp_path).splits == ("train", "test")


def test_names_that_say_no_split(tmp_path):
    write(tmp_path / "a.jsonl")
    write(tmp_path / "b.jsonl")
    assert len(list(open_source(str(tmp_path), tmp_path).iter_split("train"))) == 2
    write(tmp_path / "train.jsonl")
    with pytest.raises(DataError, match=r"a\.jsonl: the name does not say which split"):
        open_source(str(tmp_path), tmp_path)


def test_a_saved_dataset_dict(tmp_path):
    datasets = pytest.importorskip("datasets")
    rows = datasets.Dataset.from_list([RECORD] * 3)
    saved = datasets.DatasetDict({"test": rows.select([0]), "train": rows, "validation": rows.select([0, 2])})
    saved.save_to_disk(tmp_path / "saved")
    source = open_source(str(tmp_path / "saved"), tmp_path)
    assert {split: len(list(source.iter_split(split))) for split in source.splits} == {
        "train": 3,
        "validation": 2,
        "test": 1,
    }


@pytest.mark.parametrize("name", ["../../secret.arrow", "/etc/passwd"])
def test_a_data_set_folder_cannot_name_files_outside_it(name, tmp_path):
    folder = tmp_path / "saved"
    folder.mkdir()
    (folder / "state.json").write_text(json.dumps({"_data_files": [{"filename": name}]}))
    with pytest.raises(DataError, match="lies outside"):
        open_source(str(folder), tmp_path)


def test_a_data_set_with_an_index_file_says_what_to_do(tmp_path):
    (tmp_path / "state.json").write_text(json.dumps({"_data_files": [], "_indices_files": [{"filename": "i.arrow"}]}))
    with pytest.raises(DataError) as caught:
        open_source(str(tmp_path), tmp_path)
    assert "flatten_indices" in caught.value.fix


def test_links_that_leave_a_data_folder_are_not_read(tmp_path):
    write(tmp_path / "outside.jsonl")
    write(tmp_path / "data" / "train.jsonl")
    (tmp_path / "data" / "test.jsonl").symlink_to(tmp_path / "outside.jsonl")
    assert open_source(str(tmp_path / "data"), tmp_path).splits == ("train",)


@pytest.mark.parametrize(
    ("uri", "message"),
    [
        ("builtin:ticket", "did you mean 'tickets'"),
        ("builtin:tickets-flawd", "did you mean 'tickets-flawed'"),
        ("builtin:tickets?row=200", "did you mean 'rows'"),
        ("fil:///x", "did you mean 'file'"),
        ("file://relative/path", "absolute path"),
        ("pvc://claim/data", "volume of a cluster"),
        ("hf://owner/name", "hf://datasets/OWNER/NAME"),
        ("s3:bucket", "not of a known form"),
    ],
)
def test_wrong_uris_are_explained(uri, message, tmp_path):
    with pytest.raises(ConfigError) as caught:
        open_source(uri, tmp_path)
    assert message in f"{caught.value.detail} {caught.value.fix}"


def test_nothing_there(tmp_path):
    for uri in (tmp_path / "no", tmp_path):
        with pytest.raises(DataError) as caught:
            open_source(str(uri), tmp_path)
        assert caught.value.reason is Reason.DATA_MISSING
        assert str(uri) in caught.value.detail


def test_a_path_that_is_no_file(tmp_path):
    os.mkfifo(tmp_path / "train.jsonl")
    with pytest.raises(DataError, match="no data files"):
        open_source(str(tmp_path), tmp_path)


def test_unknown_split(tmp_path):
    with pytest.raises(DataError, match="did you mean 'validation'"):
        open_source("builtin:tickets", tmp_path).iter_split("validate")


def test_store_without_its_package_says_so(tmp_path):
    with pytest.raises(DataError) as caught:
        open_source("s3://bucket/data", tmp_path)
    assert "s3fs" in f"{caught.value.detail} {caught.value.fix}"


@pytest.fixture
def store():
    filesystem = fsspec.filesystem("memory")
    filesystem.pipe("/bucket/set/train.jsonl", json.dumps(RECORD).encode())
    filesystem.pipe("/bucket/set/more/test.jsonl", json.dumps(RECORD).encode())
    filesystem.pipe("/bucket/set/code.py", b"raise SystemExit")
    yield filesystem
    filesystem.rm("/bucket", recursive=True)


def test_files_of_a_store_are_copied_once(store, tmp_path):
    folder, key = remote.fetch_files("memory://bucket/set", tmp_path)
    assert sorted(str(file.relative_to(folder)) for file in folder.rglob("*.*")) == ["more/test.jsonl", "train.jsonl"]
    assert remote.fetch_files("memory://bucket/set", tmp_path) == (folder, key)
    store.pipe("/bucket/set/train.jsonl", json.dumps(RECORD).encode() * 2)
    assert remote.fetch_files("memory://bucket/set", tmp_path)[1] != key


def test_one_file_of_a_store(store, tmp_path):
    folder, _ = remote.fetch_files("memory://bucket/set/train.jsonl", tmp_path)
    assert [file.name for file in folder.iterdir()] == ["train.jsonl"]


def test_an_empty_store(store, tmp_path):
    with pytest.raises(DataError, match="no data files lie there"):
        remote.fetch_files("memory://bucket/none", tmp_path)


def test_a_store_that_breaks_off_leaves_nothing(store, tmp_path, monkeypatch):
    def fail(*_args):
        raise ConnectionResetError("reset by peer")

    monkeypatch.setattr(type(store), "get_file", fail)
    with pytest.raises(PlatformError, match="reset by peer"):
        remote.fetch_files("memory://bucket/set", tmp_path)
    assert [path for path in (tmp_path / "datasets").iterdir() if path.is_dir()] == []


def test_rows_of_a_source_are_valid(tmp_path):
    for row in open_source("builtin:tickets?rows=200&language=both", tmp_path).iter_split("train"):
        assert isinstance(row, Row)
        assert Row.model_validate(row.model_dump()) == row
