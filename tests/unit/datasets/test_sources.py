import json
import os
import sys
from pathlib import Path

import fsspec
import pyarrow as pa
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


@pytest.mark.parametrize(
    ("names", "splits"),
    [
        (("belle_train.jsonl", "belle_test.jsonl"), ("train", "test")),
        (("json-train.arrow", "json-test.arrow"), ("train", "test")),
        (("alpaca-dev.JSONL", "alpaca-training.JSONL"), ("train", "validation")),
        (("trainData.json", "myTestSet.json"), ("train", "test")),
        (("en/train.jsonl", "deep/er/test/part-0.jsonl"), ("train", "test")),
        (("latest.jsonl",), ("train",)),
        (("part-00000.jsonl", "part-00001.jsonl"), ("train",)),
        (("train.jsonl", "._train.jsonl", ".cache/test.jsonl", "__MACOSX/x_test.jsonl"), ("train",)),
        (("train_sft-0.jsonl", "train_gen-0.jsonl", "test_sft.jsonl"), ("train", "test")),
    ],
)
def test_the_split_word_may_stand_anywhere_in_a_name(names, splits, tmp_path):
    for name in names:
        if name.endswith(".arrow"):
            write_stream(tmp_path / name)
        else:
            write(tmp_path / name)
    source = open_source(str(tmp_path), tmp_path)
    assert source.splits == splits
    rows = [row for split in splits for row in source.iter_split(split)]
    assert all(isinstance(row, Row) for row in rows)
    assert len(rows) == sum(not name.startswith((".", "_")) for name in names)


def write_stream(path: Path) -> None:
    table = pa.Table.from_pylist([RECORD])
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)


@pytest.mark.parametrize(
    ("names", "shown"),
    [
        (("a.jsonl", "b.jsonl"), "a.jsonl, b.jsonl"),
        (("train.jsonl", "holdout.jsonl"), "holdout.jsonl"),
        (("train_test.jsonl",), "train_test.jsonl"),
        (("train/hard_test.jsonl", "train/easy.jsonl"), "train/hard_test.jsonl"),
    ],
)
def test_names_that_do_not_say_one_split_are_refused_by_name(names, shown, tmp_path):
    for name in names:
        write(tmp_path / name)
    with pytest.raises(DataError) as caught:
        open_source(str(tmp_path), tmp_path)
    assert f"which split these files are: {shown}" in caught.value.detail
    assert "train, validation, test, fresh, control" in caught.value.fix


def test_two_parts_of_a_saved_data_set_that_are_one_split_are_refused(tmp_path):
    for part in ("train_sft", "train_gen"):
        (tmp_path / part).mkdir()
        (tmp_path / part / "state.json").write_text(json.dumps({"_data_files": [{"filename": "a.arrow"}]}))
    (tmp_path / "dataset_dict.json").write_text(json.dumps({"splits": ["train_sft", "train_gen"]}))
    with pytest.raises(DataError, match="'train_sft' and 'train_gen' are both train"):
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


def test_a_folder_of_links_is_read(tmp_path):
    """The hub's cache: ``snapshots/REVISION`` holds links to ``blobs``, whose names say nothing."""
    write(tmp_path / "blobs" / "0a1b")
    snapshot = tmp_path / "snapshots" / "main"
    (snapshot / "data").mkdir(parents=True)
    for name in ("data/train-00000-of-00001.jsonl", "data/test-00000-of-00001.jsonl"):
        (snapshot / name).symlink_to("../../../blobs/0a1b")
    source = open_source(str(snapshot), tmp_path)
    assert {split: len(list(source.iter_split(split))) for split in source.splits} == {"train": 1, "test": 1}
    (tmp_path / "elsewhere").mkdir()
    (tmp_path / "elsewhere" / "data").symlink_to(snapshot / "data")
    (tmp_path / "elsewhere" / "round").symlink_to(tmp_path / "elsewhere")
    assert open_source(str(tmp_path / "elsewhere"), tmp_path).splits == ("train", "test")


def test_a_link_that_leads_nowhere_is_named(tmp_path):
    write(tmp_path / "train.jsonl")
    (tmp_path / "test.jsonl").symlink_to("../blobs/gone")
    with pytest.raises(DataError, match=r"test\.jsonl: a link that leads nowhere"):
        open_source(str(tmp_path), tmp_path)


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


def test_store_without_its_package_says_so(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as in an environment that lacks it
    # fsspec remembers a client that another test of this process used.
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
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
