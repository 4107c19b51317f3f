import gzip
import json
import subprocess
import sys

import pytest

from practicum_core.errors import ConfigError, DataError, Reason, Stopped
from practicum_core.stages.snapshot import SnapshotConfig
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import get_split_path, load_split, read_data_lock
from practicum_jobs.snapshot import run
from practicum_jobs.snapshot.leakage import list_pairs

SYSTEM = "You are a careful assistant who answers each question of a customer in one short and friendly sentence."
ENGLISH = (
    "the quick courier carried nine heavy boxes across the frozen river before the bridge was closed"
    " and nobody in the small town had ever seen so many letters at once"
)
CHINESE = "快递员在大桥封闭之前把九个沉重的箱子运过结冰的河面镇上的人从来没有见过这么多信件一起送到"


def build_record(text, answer="a"):
    return {
        "messages": [
            {"role": "system", "content": SYSTEM},
            {"role": "user", "content": text},
            {"role": "assistant", "content": answer},
        ]
    }


def build_texts(prefix, count):
    return [f"{prefix} {number} asks about item {number * 37} on shelf {number * 91} please" for number in range(count)]


def write_data(folder, **splits):
    folder.mkdir(exist_ok=True)
    for name, texts in splits.items():
        lines = [json.dumps(build_record(text), ensure_ascii=False) + "\n" for text in texts]
        (folder / f"{name}.jsonl").write_text("".join(lines), encoding="utf-8")
    return str(folder)


@pytest.fixture
def context(tmp_path):
    (tmp_path / "run").mkdir()
    return StageContext(tmp_path / "run", "snapshot", "snapshot", tmp_path / "cache")


def get_metrics(record):
    return {metric.name: metric.value for metric in record.metrics}


def read_leaks(context):
    lines = (context.layout.artifacts / "leaks.jsonl").read_text(encoding="utf-8").splitlines()
    return [json.loads(line) for line in lines]


@pytest.mark.parametrize("language", ["en", "zh", "both"])
def test_the_course_data_is_frozen_and_does_not_leak(language, context):
    record = run(SnapshotConfig(data=f"builtin:tickets?language={language}"), context)
    lock = read_data_lock(context.run)
    assert record.lock == lock
    assert lock.generator_version == "tickets-1"
    assert {name: split.num_rows for name, split in lock.splits.items()} == {
        "train": 2000,
        "validation": 200,
        "test": 200,
        "control": 100,
    }
    assert get_metrics(record)["unwaived_leaks"] == 0
    assert len(record.leaks) == 12
    assert all(leak.num_rows == 0 for leak in record.leaks)
    assert len(load_split(context, "test")) == 200


def test_the_same_data_gives_the_same_lock(context, tmp_path):
    data = write_data(tmp_path / "data", train=build_texts("anna", 5), test=build_texts("bert", 5))
    first = run(SnapshotConfig(data=data), context).lock
    again = run(SnapshotConfig(data=data), context).lock
    assert first == again
    write_data(tmp_path / "data", train=build_texts("anna", 6))
    changed = run(SnapshotConfig(data=data), context).lock
    assert changed.splits["train"].sha256 != first.splits["train"].sha256
    assert changed.splits["test"] == first.splits["test"]


LEAKS = {
    "exact": ENGLISH,
    "exact-cased": ENGLISH.upper(),
    "near": ENGLISH.replace("nine", "ten"),
    "ngram": f"a long story begins here {ENGLISH[:90]} and then it ends in a wholly different and quite unexpected way",
    "exact-zh": CHINESE,
    "near-zh": f"{CHINESE[:-1]}达",
    "ngram-zh": f"从前有一个故事是这样开头的{CHINESE[:28]}后来的结局谁也没有想到而且完全不一样",
}


@pytest.mark.parametrize("name", LEAKS)
def test_each_kind_of_leak_blocks_the_run_and_is_listed(name, context, tmp_path):
    kind = name.partition("-")[0]
    source = CHINESE if name.endswith("zh") else ENGLISH
    data = write_data(
        tmp_path / "data",
        train=[*build_texts("anna", 20), source],
        test=[*build_texts("bert", 9), LEAKS[name]],
    )
    with pytest.raises(DataError) as caught:
        run(SnapshotConfig(data=data), context)
    assert caught.value.reason is Reason.DATA_LEAKAGE
    assert f"{kind}:train-test: 1 rows (10.0%), such as test.jsonl:10" in caught.value.detail
    assert f"waive_leakage: [{kind}:train-test]" in caught.value.fix
    expected = [{"leak": f"{kind}:train-test", "row": "test.jsonl:10", "seen_as": "train.jsonl:21"}]
    assert read_leaks(context) == expected
    assert str(context.layout.artifacts / "leaks.jsonl") in caught.value.fix
    assert not context.run.data_lock.exists()


def test_a_leak_that_is_waived_by_name_is_recorded(context, tmp_path):
    data = write_data(tmp_path / "data", train=[*build_texts("anna", 20), ENGLISH], test=[ENGLISH, "other"])
    record = run(SnapshotConfig(data=data, waive_leakage=["exact:train-test"]), context)
    (leak,) = (leak for leak in record.leaks if leak.num_rows)
    assert (leak.name, leak.num_rows, leak.share_ratio, leak.waived) == ("exact:train-test", 1, 0.5, True)
    assert leak.examples == ["test.jsonl:1"]
    assert get_metrics(record)["unwaived_leaks"] == 0
    assert get_metrics(record)["leaks_exact"] == 1
    assert context.run.data_lock.exists()


def test_a_waiver_covers_its_finding_alone(context, tmp_path):
    data = write_data(
        tmp_path / "data",
        train=[*build_texts("anna", 20), ENGLISH, CHINESE],
        validation=[CHINESE],
        test=[ENGLISH],
    )
    with pytest.raises(DataError) as caught:
        run(SnapshotConfig(data=data, waive_leakage=["exact:train-test"]), context)
    assert "exact:train-validation" in caught.value.detail
    assert "exact:train-test" not in caught.value.detail


def test_leaks_between_validation_and_test_count_too(context, tmp_path):
    data = write_data(tmp_path / "data", train=build_texts("anna", 5), validation=[ENGLISH], test=[ENGLISH])
    with pytest.raises(DataError, match="exact:validation-test"):
        run(SnapshotConfig(data=data), context)


def test_a_system_prompt_that_all_rows_share_is_no_leak(context, tmp_path):
    assert len(SYSTEM.split()) > 13
    data = write_data(tmp_path / "data", train=build_texts("anna", 50), test=["where is it", "what does it cost"])
    assert get_metrics(run(SnapshotConfig(data=data), context))["unwaived_leaks"] == 0


def test_a_shorter_run_of_words_is_no_leak_unless_asked_for(context, tmp_path):
    data = write_data(tmp_path / "data", train=[ENGLISH], test=[f"why did {' '.join(ENGLISH.split()[:9])} today then"])
    assert get_metrics(run(SnapshotConfig(data=data), context))["unwaived_leaks"] == 0
    with pytest.raises(DataError, match="ngram:train-test"):
        run(SnapshotConfig(data=data, ngram_words=8), context)


@pytest.mark.parametrize("name", ["near:train-tset", "exactly:train-test", "near:train-control", "near"])
def test_a_waiver_for_nothing_is_refused_before_work(name, context, tmp_path):
    data = write_data(tmp_path / "data", train=["a b c"], test=["d e f"])
    with pytest.raises(ConfigError, match="no such finding"):
        run(SnapshotConfig(data=data, waive_leakage=[name]), context)
    assert not context.cache_dir.exists()


def test_a_malformed_row_stops_the_run_with_file_and_line(context, tmp_path):
    data = write_data(tmp_path / "data", train=build_texts("anna", 10))
    with (tmp_path / "data" / "train.jsonl").open("a") as handle:
        handle.write("{\n" * 7)
    with pytest.raises(DataError) as caught:
        run(SnapshotConfig(data=data), context)
    assert caught.value.reason is Reason.DATA_INVALID
    assert f"{tmp_path}/data/train.jsonl:11: broken_json" in caught.value.detail
    assert "7 rows cannot be read" in caught.value.detail
    assert "and 2 more" in caught.value.detail
    assert not context.run.data_lock.exists()
    assert [file for file in context.cache_dir.rglob("*") if file.is_file()] == []


def test_an_older_lock_does_not_survive_a_failed_run(context, tmp_path):
    data = write_data(tmp_path / "data", train=build_texts("anna", 5), test=["x y z"])
    run(SnapshotConfig(data=data), context)
    write_data(tmp_path / "data", test=build_texts("anna", 1))
    with pytest.raises(DataError):
        run(SnapshotConfig(data=data), context)
    assert not context.run.data_lock.exists()


def test_a_stop_is_heard(context):
    context.request_stop()
    with pytest.raises(Stopped):
        run(SnapshotConfig(), context)


def test_data_of_the_run_itself(context):
    write_data(context.run.root / "mine", train=["a b c"])
    assert run(SnapshotConfig(data="run:mine"), context).lock.splits["train"].num_rows == 1
    with pytest.raises(ConfigError, match="leaves the run directory"):
        run(SnapshotConfig(data="run:../elsewhere"), context)


def test_pairs_follow_the_splits_at_hand():
    assert list_pairs(["train"]) == []
    assert list_pairs(["train", "validation", "test"]) == [
        ("train", ("validation", "test")),
        ("validation", ("test",)),
    ]


def test_the_stage_as_a_process(tmp_path):
    run_dir = tmp_path / "run"
    run_dir.mkdir()
    (tmp_path / "config.yaml").write_text("data: builtin:tickets?rows=200\n")
    command = [sys.executable, "-m", "practicum_jobs", "snapshot", "--config", tmp_path / "config.yaml"]
    environment = {"PRACTICUM_CACHE": str(tmp_path / "cache"), "PYTHONPATH": ":".join(sys.path)}
    done = subprocess.run(
        [*command, "--run-dir", run_dir], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 0, done.stderr
    record = json.loads((run_dir / "stages" / "snapshot" / "record.json").read_text())
    sha256 = record["lock"]["splits"]["train"]["sha256"]
    assert get_split_path(sha256, tmp_path / "cache").is_file()
    (tmp_path / "config.yaml").write_text("data: builtin:tickets?rows=5\n")
    done = subprocess.run(
        [*command, "--run-dir", run_dir], env=environment, capture_output=True, text=True, check=False, timeout=60
    )
    assert done.returncode == 2
    assert "from 200 to 1000000" in done.stderr
    assert "Traceback" not in done.stderr
    assert not (run_dir / "stages" / "snapshot" / "record.json").exists()


NEEDED = {"train": ["sft"], "validation": ["sft", "inference"], "test": ["evaluate"]}


def refuse_splits(context, data, **options):
    config = SnapshotConfig(data=str(data), needed_splits=NEEDED, **options)
    with pytest.raises(DataError) as caught:
        run(config, context)
    assert caught.value.reason is Reason.DATA_MISSING
    assert not (context.cache_dir / "objects").exists(), "rows were frozen before the splits were looked at"
    return caught.value


def test_a_missing_split_is_refused_before_anything_is_frozen_and_the_file_to_add_is_named(tmp_path, context):
    error = refuse_splits(context, write_data(tmp_path / "set", train=build_texts("a", 3), test=build_texts("b", 3)))
    assert error.detail.endswith("no split 'validation' (read by sft and inference); found: train, test")
    assert error.fix == "add validation.jsonl to the data"


def test_a_single_file_is_train_and_the_rest_is_named(tmp_path, context):
    write_data(tmp_path, mine=build_texts("a", 3))
    error = refuse_splits(context, tmp_path / "mine.jsonl")
    assert "no split 'validation' (read by sft and inference), 'test' (read by evaluate); found: train" in error.detail
    assert "train.jsonl, and beside it validation.jsonl and test.jsonl, and give that folder" in error.fix


def test_compressed_files_are_asked_for_by_their_whole_ending(tmp_path, context):
    (tmp_path / "set").mkdir()
    for split in ("train", "validation"):
        text = "".join(json.dumps(build_record(text)) + "\n" for text in build_texts(split, 3))
        (tmp_path / "set" / f"{split}.jsonl.gz").write_bytes(gzip.compress(text.encode()))
    assert refuse_splits(context, tmp_path / "set").fix == "add test.jsonl.gz to the data"


def test_a_mistyped_split_is_suggested(context):
    with pytest.raises(DataError, match=r"no split 'tset' \(read by evaluate\); did you mean 'test'"):
        run(SnapshotConfig(data="builtin:tickets?rows=200", needed_splits={"tset": ["evaluate"]}), context)


def test_an_empty_split_that_a_later_step_reads_is_refused(tmp_path, context):
    data = write_data(tmp_path / "set", train=build_texts("a", 3), validation=build_texts("b", 3), test=[])
    with pytest.raises(DataError, match="test"):
        run(SnapshotConfig(data=data, needed_splits=NEEDED), context)
    assert not context.run.data_lock.exists()


def test_splits_that_nobody_reads_may_be_missing(tmp_path, context):
    data = write_data(tmp_path / "set", train=build_texts("a", 3))
    assert run(SnapshotConfig(data=data, needed_splits={"train": ["sft"]}), context).lock.splits.keys() == {"train"}
