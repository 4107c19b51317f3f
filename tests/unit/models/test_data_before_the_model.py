"""The step that fetches the model looks at the data first and fetches nothing where a split is missing."""

from __future__ import annotations

import json
import sys
from typing import ClassVar

import pytest
from fsspec.implementations.memory import MemoryFileSystem

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.resolve import resolve_steps
from practicum_core.stages import STAGES
from practicum_core.stages.model import ModelConfig
from practicum_core.stages.snapshot import SnapshotConfig
from practicum_core.weekjob import WeekJob
from practicum_jobs import model, snapshot
from practicum_jobs.context import StageContext

NEEDED = {"train": ["sft"], "test": ["evaluate"]}
LINE = json.dumps({"instruction": "Why?", "output": "So."}).encode() + b"\n"


class Bucket(MemoryFileSystem):
    """A store of this process under the name of S3: the same calls of fsspec, without a server."""

    protocol = "s3"
    store: ClassVar[dict] = {}
    pseudo_dirs: ClassVar[list[str]] = [""]
    copied: ClassVar[list[str]] = []

    @classmethod
    def _strip_protocol(cls, path):
        return super()._strip_protocol(path.replace("s3://", "memory://"))

    def get_file(self, rpath, lpath, **rest):
        self.copied.append(rpath)
        super().get_file(rpath, lpath, **rest)


@pytest.fixture
def bucket(monkeypatch):
    monkeypatch.setitem(sys.modules["fsspec.registry"]._registry, "s3", Bucket)
    monkeypatch.setattr(Bucket, "store", {})
    monkeypatch.setattr(Bucket, "copied", [])
    return Bucket()


@pytest.fixture
def context(tmp_path):
    (tmp_path / "run").mkdir()
    return StageContext(tmp_path / "run", "model", "model", tmp_path / "cache")


def fetch(context, data, needed=NEEDED, uri="hf://nobody/has-this-model"):
    return model.run(ModelConfig(model=uri, data=data, needed_splits=needed), context)


def freeze(context, data):
    return snapshot.run(SnapshotConfig(data=data, needed_splits=NEEDED), context)


@pytest.mark.parametrize(
    ("names", "fix"),
    [
        (["train.jsonl", "README.md"], "add test.jsonl to the data"),
        (["data/train-00000-of-00002.parquet", "data/train-00001-of-00002.parquet"], "add test.parquet to the data"),
        (["dataset_dict.json", "train/state.json", "train/data-0.arrow"], "save the data set with the split test"),
    ],
)
@pytest.mark.parametrize("start", [fetch, freeze])
def test_a_split_that_a_store_lacks_is_told_before_a_file_is_copied(bucket, context, names, fix, start):
    for name in names:
        bucket.pipe(f"/bucket/set/{name}", LINE)
    with pytest.raises(DataError, match=r"no split 'test' \(read by evaluate\); found: train") as caught:
        start(context, "s3://bucket/set")
    assert (caught.value.reason, caught.value.fix) == (Reason.DATA_MISSING, fix)
    assert bucket.copied == []
    assert not context.cache_dir.exists()


@pytest.mark.parametrize(
    "names",
    [
        ["train.jsonl", "test.jsonl.gz"],
        ["dataset_dict.json", "train/state.json", "train/d.arrow", "test/state.json", "test/d.arrow"],
    ],
)
def test_a_store_with_every_split_is_let_through(bucket, context, names):
    for name in names:
        bucket.pipe(f"/bucket/set/{name}", LINE)
    with pytest.raises(ConfigError, match="not a folder"):
        fetch(context, "s3://bucket/set", uri="file:///no/such/model")


def test_names_that_say_no_split_are_told_before_the_model(bucket, context):
    for name in ("belle.jsonl", "alpaca.jsonl"):
        bucket.pipe(f"/bucket/set/{name}", LINE)
    with pytest.raises(DataError, match=r"do not say which split these files are: alpaca.jsonl, belle.jsonl"):
        fetch(context, "s3://bucket/set", needed={})


@pytest.mark.parametrize("data", ["builtin:tickets", "builtin:tickets-flawed?rows=300"])
def test_the_splits_of_built_in_data_are_known_without_making_it(context, data):
    with pytest.raises(DataError, match=r"no split 'tset' \(read by evaluate\); did you mean 'test'"):
        fetch(context, data, needed={"tset": ["evaluate"]})
    assert not context.cache_dir.exists()


@pytest.mark.parametrize("unit", ["experiments", "data", "sft", "evaluate", "data-and-sft", "comparison"])
def test_the_first_step_of_every_unit_is_told_what_is_read(unit):
    spec = {"unit": unit, "set": {"evaluate.candidate": "builtin:smollm2-135m"} if unit == "comparison" else {}}
    steps = resolve_steps(WeekJob.model_validate({"metadata": {"name": "mine"}, "spec": spec}))
    read = {split for step in steps for split in step.config.list_splits()}
    assert steps[0].config.data
    assert steps[0].config.needed_splits.keys() == read


def test_every_stage_lists_the_splits_that_its_options_name():
    named = 0
    for stage, spec in STAGES.items():
        defaults = {name: option.default for name, option in spec.config.model_fields.items()}
        options = [value for name, value in defaults.items() if name == "split" or name.endswith("_split")]
        wanted = {value for value in options if isinstance(value, str) and value}
        listed = set(spec.config.model_construct(**defaults).list_splits())
        assert wanted <= listed, f"{stage} reads {wanted - listed}, and nobody checks that the data has them"
        named += len(wanted)
    assert named >= 4
