"""The contract of every kind of file that people bring: it is read, or one sentence says what it is and what to do."""

import gzip
import json

import pyarrow as pa
import pytest

from practicum_core.data_formats import FILE_KINDS, FORMATS, SUFFIXES
from practicum_core.errors import ConfigError, DataError
from practicum_core.rows import Row
from practicum_jobs.datasets.containers import check_encoding
from practicum_jobs.datasets.diagnosis import diagnose
from practicum_jobs.datasets.formats import READERS
from practicum_jobs.datasets.json_layout import find_layout
from practicum_jobs.datasets.readers import Defect, ReadOptions, iter_pieces, iter_rows

RECORDS = [{"instruction": f"问{n}", "output": f"a{n}\n2"} for n in range(3)]
LINES = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS).encode()
ARRAY = json.dumps(RECORDS).encode()
PRETTY = "\n".join(json.dumps(record, indent=2, ensure_ascii=False) for record in RECORDS).encode()
CSV = "instruction,output\n" + "".join(f'问{n},"a{n}\n2"\n' for n in range(3))


def compress_zst(raw):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


def write_arrow_file():
    table = pa.Table.from_pylist(RECORDS)
    sink = pa.BufferOutputStream()
    with pa.ipc.new_file(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


READ = {
    "array.jsonl": ARRAY,
    "array-pretty.jsonl": json.dumps(RECORDS, indent=1).encode(),
    "upper.JSONL": LINES,
    "upper.Json": ARRAY,
    "pretty.jsonl": PRETTY,
    "pretty-with-commas.json": PRETTY.replace(b"}\n{", b"},\n{"),
    "data.json": json.dumps({"data": RECORDS}).encode(),
    "data-pretty.jsonl": json.dumps({"data": RECORDS}, indent=2).encode(),
    "train-key.json": b'\xef\xbb\xbf {"train" : ' + ARRAY + b"}\n",
    "lines-of-lists.jsonl": b"".join(json.dumps({"rows": [record]}).encode() for record in RECORDS[:1])
    + b"\n" + LINES.partition(b"\n")[2],
    "two-arrays.json": json.dumps(RECORDS[:1]).encode() + b"\n" + json.dumps(RECORDS[1:]).encode(),
    "lines.jsonl.gz": gzip.compress(LINES),
    "gzip-named.jsonl": gzip.compress(LINES),
    "two-members.json.gz": gzip.compress(LINES[:40]) + gzip.compress(LINES[40:]),
    "lines.jsonl.zst": compress_zst(LINES),
    "array.json.ZST": compress_zst(ARRAY),
    "table.csv": CSV.encode(),
    "excel.csv": b"\xef\xbb\xbf" + CSV.replace(",", ";").replace('\n"', '"').encode(),
    "table.tsv": CSV.replace(",", "\t").encode(),
    "table.csv.gz": gzip.compress(CSV.encode()),
    "notepad.jsonl": LINES.decode().encode("utf-16"),
    "big-endian.json": b"\xfe\xff" + ARRAY.decode().encode("utf-16-be"),
    "excel-unicode.csv": CSV.replace(",", "\t").encode("utf-16"),
    "four-bytes.jsonl.gz": gzip.compress(LINES.decode().encode("utf-32")),
    "file.arrow": write_arrow_file(),
    "arrow-named.json": write_arrow_file(),
}  # fmt: skip


@pytest.mark.parametrize("name", READ)
def test_what_is_plainly_a_usual_file_is_read(name, tmp_path):
    path = tmp_path / name
    path.write_bytes(READ[name])
    rows = list(iter_rows(path))
    if name.startswith("lines-of-lists"):
        # Each line is a value of its own: no list under a key, and no line is left out.
        assert [type(row) for row in rows] == [Defect, Row, Row]
        return
    assert [row.answer.replace('"', "") for row in rows] == ["a0\n2", "a1\n2", "a2\n2"]
    assert [row.messages[0].content for row in rows] == ["问0", "问1", "问2"]


@pytest.mark.parametrize(("encoding", "name"), [("gbk", "a.jsonl"), ("GB18030", "a.csv"), ("utf-16-le", "a.jsonl")])
def test_other_encodings_are_read_when_told(encoding, name, tmp_path):
    path = tmp_path / name
    path.write_bytes((CSV if name.endswith("csv") else LINES.decode()).encode(encoding))
    rows = list(iter_rows(path, ReadOptions(encoding=check_encoding(encoding))))
    assert [row.messages[0].content for row in rows] == ["问0", "问1", "问2"]


def test_bytes_that_an_encoding_does_not_have_are_a_defect_of_their_row(tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_bytes(LINES.decode().encode("gbk").replace(b"a1", b"\xff\xff"))
    kinds = [getattr(row, "kind", "") for row in iter_rows(path, ReadOptions(encoding="gbk"))]
    assert kinds == ["", "invalid_utf8", ""]


@pytest.mark.parametrize(("name", "text"), [("a.jsonl", LINES.decode()), ("a.csv", CSV)])
def test_gbk_is_not_guessed(name, text, tmp_path):
    path = tmp_path / name
    path.write_bytes(text.encode("gbk"))
    assert {row.kind for row in iter_rows(path)} == {"invalid_utf8"}
    assert "--encoding gbk" in diagnose(iter_pieces(path)).hint


def test_unknown_encodings_are_refused():
    assert check_encoding("UTF8") == "utf-8"
    for name in ("gbkk", "base64", "hex"):
        with pytest.raises(ConfigError, match="unknown encoding"):
            check_encoding(name)


LFS = b"version https://git-lfs.github.com/spec/v1\noid sha256:4d7a\nsize 12345\n"


@pytest.mark.parametrize(
    ("name", "raw", "problem", "fix"),
    [
        ("a.jsonl", LFS, "Git LFS pointer", "git lfs pull"),
        ("a.parquet", LFS, "Git LFS pointer", "git lfs pull"),
        ("a.jsonl", '{"instruction": "q"}'.encode("utf-16-le"), "UTF-16", "--encoding utf-16-le"),
        ("a.jsonl", '{"instruction": "q"}'.encode("utf-16-be"), "UTF-16", "--encoding utf-16-be"),
        ("a.csv", b"PK\x03\x04abc", "ZIP archive", "CSV"),
        ("a.json", b"<!DOCTYPE html><html>", "web page", "download"),
        ("a.jsonl.gz", LINES, "not compressed", "ending"),
        ("a.jsonl.gz", gzip.compress(LINES * 100)[:-30], "damaged", "download"),
        ("a.json", json.dumps({"train": RECORDS, "test": RECORDS}).encode(), "'train' and 'test'", "file of its own"),
        ("a.json", json.dumps({"test": RECORDS, "n": 1, "train": RECORDS}).encode(), "'test' and 'train'", "own"),
        ("a.csv", b"instruction,instruction\nq,a\n", "instruction twice", "first line"),
        ("a.csv", b"\n", "holds no rows", "at least one row"),
        ("a.csv", "问题,output\nq,a\n".encode("gbk"), "header is not UTF-8", "--encoding gbk"),
    ],
)
def test_foreign_files_are_named_with_what_to_do(name, raw, problem, fix, tmp_path):
    path = tmp_path / name
    path.write_bytes(raw)
    with pytest.raises(DataError) as caught:
        list(iter_rows(path))
    assert problem in caught.value.detail
    assert fix in caught.value.fix


@pytest.mark.parametrize(
    ("raw", "columns", "hint"),
    [
        (json.dumps({"instruction": ["q", "r"], "output": ["a", "b"]}), ["instruction", "output"], "orient='records'"),
        (json.dumps({"instruction": {"0": "q"}, "output": {"0": "a"}}), ["instruction", "output"], "orient='records'"),
        ("{'instruction': 'q', 'output': 'a'}\n", [], "json.dumps"),
        ("Once upon a time\nthere was\n", [], "no JSON"),
        ('{"text": "Once"}\n{"text": "upon"}\n', ["text"], "no prompt and no answer"),
        ('{"ask": "q", "reply": "a"}\n', ["ask", "reply"], "alpaca: instruction, output"),
        ('{"instruction": "q", "output": 3}\n', ["instruction", "output"], "named above"),
    ],
)
def test_what_cannot_be_read_has_the_hint_that_fits(raw, columns, hint, tmp_path):
    path = tmp_path / "a.jsonl"
    path.write_text(raw)
    found = diagnose(iter_pieces(path))
    assert found.defects
    assert found.columns == columns
    assert hint in found.hint


def test_what_stands_around_a_list_is_named(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"version": "1", "data": RECORDS, "note": "客户手机 13900139001"}))
    *_, last = places = list(iter_rows(path))
    assert [type(place) for place in places] == [Defect, Row, Row, Row, Defect]
    assert (places[0].kind, last.kind) == ("unread_part", "unread_part")
    assert "'version'" in places[0].detail


def test_a_list_on_one_long_line_is_read_row_by_row(tmp_path):
    path = tmp_path / "a.json"
    path.write_text(json.dumps({"data": RECORDS * 10_000}))
    rows = iter_rows(path, ReadOptions(max_row_bytes=1_000))
    assert sum(isinstance(row, Row) for row in rows) == 30_000


@pytest.mark.parametrize(
    ("raw", "kinds"),
    [
        ("instruction,output\nq,a\nq,a,b\nq\nq,a\n", ["", "broken_csv", "broken_csv", ""]),
        ('instruction,output\nq,a\n"q"x,a\nq,a\n', ["", "broken_csv", ""]),
        ('instruction,output\nq,a\n"never closed,a\nq,a\n', ["", "broken_csv"]),
        (f'instruction,output\nq,a\nq,{"x" * 3_000}\nq,a\n', ["", "row_too_long", ""]),
        ('instruction,output\n"q\nq",a\n\nq,\n', ["", ""]),
    ],
)  # fmt: skip
def test_broken_rows_of_a_table(raw, kinds, tmp_path):
    path = tmp_path / "a.csv"
    path.write_text(raw)
    places = list(iter_rows(path, ReadOptions(max_row_bytes=2_000)))
    assert [getattr(place, "kind", "") for place in places] == kinds
    if "never" in raw:
        assert "lines 3 to 4" in places[1].detail


def test_bytes_of_a_table_that_are_not_utf8(tmp_path):
    path = tmp_path / "a.csv"
    path.write_bytes(CSV.encode().replace(b"a1", b"\xff"))
    assert [getattr(row, "kind", "") for row in iter_rows(path)] == ["", "invalid_utf8", ""]


@pytest.mark.parametrize(
    ("head", "kind"),
    [
        (b"", "lines"),
        (b"{oops\n", "lines"),
        (b'{"instruction": "q", \n{"instruction"', "objects"),
        (b'{"messages": [{"role": "user"', "lines"),
        (b'{"data": [{"role": "user", "content": "q"}]}', "lines"),
        (b'{"data": ["q"]}', "lines"),
        (b"[1]\n[2]\n", "lines"),
        (b'[{"a": 1}]\n', "array"),
    ],
)  # fmt: skip
def test_layouts(head, kind):
    assert find_layout(head, is_whole=True).kind == kind


def test_every_format_that_the_help_names_has_a_reader():
    assert set(READERS) == set(FORMATS)
    assert tuple(name for names in FILE_KINDS for name in names.split()) == SUFFIXES
