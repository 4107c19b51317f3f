"""The stage `audit`: planted flaws, every format, bad input, and what its files hold."""

from __future__ import annotations

import contextlib
import io
import json
import os
import re
import signal
import subprocess
import sys
import time
import unicodedata

import psutil
import pytest
import yaml

from practicum_core.machine import get_cache_dir
from practicum_core.stages.audit import AuditRecord
from practicum_jobs.__main__ import main
from practicum_jobs.datasets.sources import open_source
from practicum_jobs.models.sources import ensure_model


def write_options(folder, options):
    folder.mkdir(exist_ok=True)
    (folder / "config.yaml").write_text(yaml.safe_dump({"model": None, "workers": 1, **options}, allow_unicode=True))
    return ["audit", "--config", str(folder / "config.yaml"), "--run-dir", str(folder)]


def run_audit(folder, **options):
    """Run the stage in a process of its own; return its exit code, output and run directory."""
    command = [sys.executable, "-m", "practicum_jobs", *write_options(folder, options)]
    done = subprocess.run(command, capture_output=True, text=True, timeout=300, check=False)
    return done.returncode, done.stdout + done.stderr, folder / "stages" / "audit"


def run_audit_here(folder, **options):
    """Do the same in this process, which saves a second of imports."""
    output, handlers = io.StringIO(), {number: signal.getsignal(number) for number in (signal.SIGTERM, signal.SIGINT)}
    try:
        with contextlib.redirect_stdout(output), contextlib.redirect_stderr(output):
            code = main(write_options(folder, options))
    finally:
        for number, handler in handlers.items():
            signal.signal(number, handler)
    return code, output.getvalue(), folder / "stages" / "audit"


def read_record(stage):
    return AuditRecord.model_validate_json((stage / "record.json").read_bytes())


def count(record):
    return {finding.name: finding.num_rows for finding in record.findings if finding.num_rows}


@pytest.fixture(scope="module")
def planted(tmp_path_factory):
    """The default edition (2,000 lines, both languages) under the real tokenizer, on two processes."""
    ensure_model("builtin:smollm2-135m", get_cache_dir())
    code, output, stage = run_audit(tmp_path_factory.mktemp("audit") / "run", model="builtin:smollm2-135m", workers=2)
    assert code == 0, output
    return stage


def test_every_planted_class_is_found_and_nothing_else(planted, record_property, capsys):
    scores = read_record(planted).scores
    table = [f"{'class':24} {'planted':>8} {'flagged':>8} {'recall':>8} {'precision':>9}"]
    for score in scores:
        table.append(
            f"{score.name:24} {score.num_planted:8} {score.num_flagged:8} {score.recall:8.3f} {score.precision:9.3f}"
        )
        record_property(score.name, f"recall {score.recall:.3f} precision {score.precision:.3f}")
    with capsys.disabled():
        sys.stdout.write("\n" + "\n".join(table) + "\n")
    names = {score.name for score in scores}
    kinds = (
        "cn_resident_id",
        "cn_uscc",
        "bank_card",
        "cn_mobile",
        "cn_landline",
        "cn_plate",
        "cn_passport",
        "email",
        "ipv4",
        "phone",
    )
    assert names >= {f"pii:{kind}" for kind in kinds}
    assert names >= {"exact_duplicate", "near_duplicate", "leaked_row", "conflicting_answers", "mojibake", "over_long"}
    assert {name for name in names if name.startswith("secret:")} == {
        f"secret:{kind}"
        for kind in ("aws_key", "openai_key", "github_token", "slack_token", "private_key", "jwt", "generic")
    }
    assert min(score.recall for score in scores) >= 0.95
    assert min(score.precision for score in scores) >= 0.95


@pytest.mark.parametrize("language", ["en", "zh"])
def test_each_language_alone_and_other_seeds(tmp_path, language):
    data = f"builtin:tickets-flawed?rows=4000&language={language}&seed=23"
    code, output, stage = run_audit(tmp_path / "run", data=data, model="builtin:smollm2-135m")
    assert code == 0, output
    metrics = {metric.name: metric.value for metric in read_record(stage).metrics}
    assert metrics["min_recall"] >= 0.95
    assert metrics["min_precision"] >= 0.95
    assert metrics["clean_copy_failures"] == 0


def test_the_record_has_the_figures_that_gates_and_people_read(planted):
    record = read_record(planted)
    metrics = {metric.name: metric for metric in record.metrics}
    assert record.verdict == "fail"
    assert metrics["num_rows"].value == record.num_rows == 1938
    assert metrics["clean_copy_failures"].value == 0
    assert metrics["truncation_ratio"].value > 0
    assert record.lengths["min"] <= record.lengths["p50"] <= record.lengths["p99"] <= record.lengths["max"]
    assert set(record.scripts) >= {"latin", "zh"}
    recall = metrics["recall:pii:cn_mobile"]
    assert recall.low < recall.value <= recall.high
    document = json.loads((planted / "artifacts" / "audit.json").read_text())
    assert len(document["scores"]) == len(record.scores)
    assert {file["split"] for file in document["files"]} == {"train", "validation", "test"}


def read_words(line):
    """Words of a line in which a value of nine characters or more could be told, full-width digits made plain."""
    text = unicodedata.normalize("NFKC", line.decode("utf-8", "replace"))
    return {word.rstrip(".") for word in re.findall(r"[0-9A-Za-z@._+/\-]{9,}", text)}


def test_no_personal_data_and_no_secret_is_in_any_file(planted):
    source = open_source("builtin:tickets-flawed", get_cache_dir())
    truth = [json.loads(line) for line in source.truth.read_text().splitlines()]
    numbers = {
        entry["line"] for entry in truth if any(name.startswith(("pii:", "secret:")) for name in entry["classes"])
    }
    private, others = set(), set()
    for number, line in enumerate(source.files["train"][0].read_bytes().split(b"\n"), start=1):
        (private if number in numbers else others).update(read_words(line))
    values = {word for word in private - others if sum(mark.isdigit() for mark in word) >= 7 or "@" in word}
    values = {word for word in values if not word.startswith(("train-", "TK-"))}
    assert len(values) > 150
    for file in planted.rglob("*"):
        if file.is_file():
            text = file.read_text(encoding="utf-8", errors="replace")
            assert not [value for value in values if value in text], file


def test_the_clean_copy_with_the_other_splits_is_a_data_set_for_later_runs(planted, tmp_path):
    artifacts = planted / "artifacts"
    source = open_source(str(artifacts / "clean"), tmp_path)
    assert source.splits == ("train", "validation", "test")
    assert (artifacts / "clean/train.jsonl").samefile(artifacts / "clean.jsonl")
    audited = open_source("builtin:tickets-flawed", get_cache_dir())
    for split in source.splits[1:]:
        copied, original = ([row.answer for row in one.iter_split(split)] for one in (source, audited))
        assert copied == original
        assert len(copied) > 20


def test_copy_and_manifest_share_out_every_line(planted):
    record = read_record(planted)
    artifacts = planted / "artifacts"
    clean = [json.loads(line) for line in (artifacts / "clean.jsonl").read_text().splitlines()]
    manifest = [json.loads(line) for line in (artifacts / "manifest.jsonl").read_text().splitlines()]
    assert len(clean) == record.num_clean_rows
    assert len(clean) + len(manifest) == 2000
    assert {row["id"] for row in clean}.isdisjoint(row["id"] for row in manifest if "id" in row)
    assert all(entry["findings"] for entry in manifest)
    pairs = [entry for entry in manifest if "leaked_row" in entry["findings"]]
    assert all(entry["partners"]["leaked_row"].startswith("test-") for entry in pairs)
    assert all("detail" in entry for entry in manifest if "line" in entry)


def test_the_page_is_whole_and_in_both_languages(planted):
    page = (planted / "artifacts" / "audit.html").read_text()
    assert page.count("<svg") >= 3
    assert "数据审计" in page
    assert "Data audit" in page
    assert "召回率" in page
    assert not re.search(r"(?:src|href)=\"(?:https?:)?//", page)


def test_one_process_and_two_say_the_same(planted, tmp_path):
    code, output, stage = run_audit(tmp_path / "run", model="builtin:smollm2-135m", workers=1)
    assert code == 0, output
    for name in ("clean.jsonl", "manifest.jsonl"):
        assert (stage / "artifacts" / name).read_bytes() == (planted / "artifacts" / name).read_bytes()
    assert read_record(stage).findings == read_record(planted).findings


def write_lines(path, records):
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records))
    return str(path)


def test_preference_pairs_alpaca_and_parquet(tmp_path):
    import pyarrow as pa  # noqa: PLC0415
    import pyarrow.parquet as pq  # noqa: PLC0415

    pairs = [
        {"prompt": f"Question {n} about thing {n * 7}?", "chosen": f"Yes, {n}.", "rejected": f"No, {n}."}
        for n in range(40)
    ]
    pairs[5]["rejected"] = "mail me at zhang.san@example.com"
    pairs[9] = dict(pairs[8])
    code, output, stage = run_audit_here(tmp_path / "a", data=write_lines(tmp_path / "pairs.jsonl", pairs))
    assert code == 0, output
    assert count(read_record(stage)) == {"exact_duplicate": 1, "pii:email": 1}
    clean = [json.loads(line) for line in (stage / "artifacts" / "clean.jsonl").read_text().splitlines()]
    assert {"prompt", "chosen", "rejected"} <= set(clean[0])

    table = pa.Table.from_pylist(
        [{"instruction": f"Add {n} and {n * 3}.", "input": "", "output": str(4 * n)} for n in range(30)]
    )
    pq.write_table(table, tmp_path / "sums.parquet")
    code, output, stage = run_audit_here(tmp_path / "b", data=str(tmp_path / "sums.parquet"))
    assert code == 0, output
    record = read_record(stage)
    assert (record.verdict, record.num_rows, record.num_clean_rows, record.lengths) == ("pass", 30, 30, {})
    assert not {"min_recall", "truncation_ratio"} & {metric.name for metric in record.metrics}


def test_a_broken_line_in_a_good_file_is_a_finding(tmp_path):
    good = {"messages": [{"role": "user", "content": "hi"}, {"role": "assistant", "content": "ok"}]}
    path = tmp_path / "rows.jsonl"
    path.write_bytes(json.dumps(good).encode() + b'\n{"messages": [\n{"messages": "\xff"}\n{"text": "x"}\n[1]\n')
    code, output, stage = run_audit_here(tmp_path / "run", data=str(path))
    assert code == 0, output
    assert count(read_record(stage)) == {"broken_json": 1, "invalid_utf8": 1, "missing_column": 1, "wrong_type": 1}


def make_giant(path):
    """A line of 1 GiB, written as a hole: no byte of it lies on the disk."""
    with path.open("wb") as handle:
        handle.write(b'{"messages": "')
        handle.truncate(1 << 30)
        handle.seek(0, 2)
        handle.write(b'"}\n')


BAD = {
    "missing": (lambda _: None, {}, r"rows\.jsonl: no such file"),
    "empty": (lambda path: path.write_bytes(b""), {}, r"rows\.jsonl: holds no rows"),
    "blank": (lambda path: path.write_bytes(b"\n\n"), {}, r"rows\.jsonl: holds no rows"),
    "broken": (lambda path: path.write_bytes(b"{oops\n"), {}, r"none of its 1 lines is a row; most often: broken_json"),
    "column": (
        lambda path: path.write_bytes(b'{"question": "a", "reply": "b"}\n'),
        {},
        r"most often: missing_column \(1\); first: rows\.jsonl:1: .*columns seen: question, reply",
    ),
    "pointer": (lambda path: path.write_bytes(b"version https://git-lfs.github.com/spec/v1\n"), {}, r"git lfs pull"),
    "utf8": (lambda path: path.write_bytes(b'{"messages": "\xff\xfe"}\n'), {}, r"most often: invalid_utf8"),
    "utf16": (lambda path: path.write_bytes('{"a": 1}\n'.encode("utf-16-be")), {}, r"UTF-16"),
    "giant": (make_giant, {}, r"most often: row_too_long"),
}


@pytest.mark.parametrize("case", BAD)
def test_bad_input_gets_one_message_and_exit_code_3(tmp_path, case):
    build, options, message = BAD[case]
    build(tmp_path / "rows.jsonl")
    code, output, stage = run_audit_here(tmp_path / "run", data=str(tmp_path / "rows.jsonl"), **options)
    assert code == 3, output
    assert re.search(message, output)
    assert "fix:" in output
    assert "Traceback" not in output
    assert not (stage / "record.json").exists()
    assert json.loads((stage / "error.json").read_text())["reason"] in {"DataMissing", "DataInvalid"}
    assert not list((stage / "artifacts").glob("*")) if (stage / "artifacts").exists() else True


def test_an_unreadable_file(tmp_path):
    (tmp_path / "rows.jsonl").mkdir()
    code, output, _ = run_audit_here(tmp_path / "run", data=str(tmp_path / "rows.jsonl"))
    assert code == 3
    assert "Traceback" not in output


def test_a_wrong_threshold_is_a_wrong_option(tmp_path):
    code, output, _ = run_audit_here(tmp_path / "run", fail_ratios={"refusals": 0.1})
    assert code == 2
    assert "did you mean 'refusal'" in output


def test_a_data_set_of_flaws_alone_leaves_no_clean_copy_to_pass(tmp_path):
    rows = [{"instruction": f"Call 1380013800{n}", "output": "ok"} for n in range(9)]
    code, output, stage = run_audit_here(tmp_path / "run", data=write_lines(tmp_path / "rows.jsonl", rows))
    assert code == 0, output
    record = read_record(stage)
    assert record.num_clean_rows == 0
    assert {metric.name: metric.value for metric in record.metrics}["clean_copy_failures"] == 1


def test_a_killed_audit_leaves_no_process_and_no_half_copy(tmp_path):
    folder = tmp_path / "run"
    folder.mkdir()
    (folder / "config.yaml").write_text(
        "data: builtin:tickets-flawed?rows=4000&language=en&seed=23\nmodel: null\nworkers: 2\n"
    )
    command = [sys.executable, "-m", "practicum_jobs", "audit", "--config", folder / "config.yaml", "--run-dir", folder]
    process = subprocess.Popen(command)
    deadline = time.monotonic() + 60
    children = []
    while len(children) < 4 and time.monotonic() < deadline and process.poll() is None:
        time.sleep(0.05)
        children = psutil.Process(process.pid).children(recursive=True)
    assert len(children) >= 4  # fork server, its tracker, two workers
    process.kill()
    process.wait()
    _, alive = psutil.wait_procs(children, timeout=20)
    assert not alive
    assert not (folder / "stages" / "audit" / "record.json").exists()
    assert not (folder / "stages" / "audit" / "artifacts" / "clean.jsonl").exists()


def test_another_limit_of_length_leaves_its_class_unscored(tmp_path):
    code, output, stage = run_audit_here(tmp_path / "run", max_length=256)
    assert code == 0, output
    scores = {score.name: score for score in read_record(stage).scores}
    assert "over_long" not in scores
    assert min(score.precision for score in scores.values()) >= 0.95


def test_a_full_disk_of_temporary_files_is_told_by_its_setting(tmp_path):
    full = tmp_path / "full"
    full.mkdir()
    options = "data: builtin:tickets-flawed?rows=4000&language=en&seed=23\nmodel: null\nworkers: 2\n"
    (tmp_path / "config.yaml").write_text(options)
    mount = ["unshare", "--mount", "--map-root-user", "sh", "-c"]
    disk = f"mount -t tmpfs -o size=64k tmpfs {full} && "
    if subprocess.run([*mount, f"{disk} true"], capture_output=True, check=False).returncode != 0:
        pytest.skip("needs a user namespace that may mount a tmpfs")
    stage = [sys.executable, "-m", "practicum_jobs", "audit", "--config", tmp_path / "config.yaml"]
    command = [*mount, f'{disk} exec "$@"', "sh", *stage, "--run-dir", tmp_path]
    variables = {**os.environ, "TMPDIR": str(full)}
    done = subprocess.run(command, env=variables, capture_output=True, text=True, timeout=300, check=False)
    error = json.loads((tmp_path / "stages/audit/error.json").read_text())
    assert (done.returncode, error["reason"]) == (4, "DiskFull"), done.stderr
    assert f"temporary files in TMPDIR ({full})" in error["detail"]
    assert "Traceback" not in done.stderr


def test_findings_that_keep_a_row_and_columns_that_are_left_out(tmp_path):
    rows = [
        {"id": str(n % 9), "instruction": f"Question {n}?", "output": f"Yes, {n}.", "source": "w"} for n in range(10)
    ]
    rows[3]["score"] = 0.5
    folder = tmp_path / "data"
    folder.mkdir()
    write_lines(folder / "my_train.jsonl", rows)
    (folder / "my_test.jsonl").write_text('{"instruction": "q", "output": "a"}\n{"instruction": 3}\n')
    code, output, stage = run_audit_here(tmp_path / "run", data=str(folder))
    assert code == 0, output
    record = read_record(stage)
    found = {finding.name: finding for finding in record.findings if finding.num_rows}
    assert {name: finding.num_rows for name, finding in found.items()} == {
        "duplicate_id": 1,
        "unread_column": 10,
        "unread_evaluation_row": 1,
    }
    assert found["unread_column"].samples == ["source: 10 rows", "score: 1 rows"]
    assert found["unread_evaluation_row"].samples[0].startswith("my_test.jsonl:2: ")
    assert (record.num_clean_rows, record.num_rows) == (10, 10)
    assert (stage / "artifacts" / "manifest.jsonl").read_text() == ""
    assert "Columns that are not read" in (stage / "artifacts" / "audit.html").read_text()


def test_rows_that_differ_in_what_was_once_lost_are_no_conflict(tmp_path):
    question = [{"from": "human", "value": "继续"}]
    rows = [
        {"conversations": [*question, {"from": "gpt", "value": f"a{n}"}], "system": f"客户手机 1390013900{n}"}
        for n in range(2)
    ]
    rows += [{"instruction": "go on", "output": f"b{n}", "history": [["q", f"user{n}@example.com"]]} for n in range(2)]
    code, output, stage = run_audit_here(tmp_path / "run", data=write_lines(tmp_path / "rows.jsonl", rows))
    assert code == 0, output
    assert count(read_record(stage)) == {"pii:cn_mobile": 2, "pii:email": 2}


def test_another_encoding(tmp_path):
    (tmp_path / "rows.jsonl").write_bytes('{"instruction": "客户问", "output": "回答"}\n'.encode("gbk") * 3)
    code, output, _ = run_audit_here(tmp_path / "a", data=str(tmp_path / "rows.jsonl"))
    assert code == 3
    assert "--encoding gbk" in output
    code, output, stage = run_audit_here(tmp_path / "b", data=str(tmp_path / "rows.jsonl"), encoding="gbk")
    assert code == 0, output
    assert "客户问" in (stage / "artifacts" / "clean.jsonl").read_text(encoding="utf-8")
    code, output, _ = run_audit_here(tmp_path / "c", data=str(tmp_path / "rows.jsonl"), encoding="gkb")
    assert code == 2
    assert "unknown encoding" in output
