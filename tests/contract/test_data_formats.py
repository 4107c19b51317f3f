"""The contract of every data format and container: what is read, and what is said about what cannot be read."""

import json
import pickle
import resource
import subprocess
import sys

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from practicum_core.errors import DataError, Reason
from practicum_core.rows import Row
from practicum_jobs.datasets import json_stream
from practicum_jobs.datasets.readers import Defect, ReadOptions, iter_pieces, iter_rows, read_piece

ALPACA = [
    {"instruction": "Add.", "input": "1 2", "output": "3", "system": ""},
    {"instruction": "Say hi.", "input": "", "output": "hi", "system": "Be brief."},
]
CHAT = [
    {
        "messages": [
            {"role": "system", "content": "Be brief."},
            {"role": "user", "content": "你好"},
            {"role": "assistant", "content": "在"},
        ],
        "id": "r1",
        "task": "question",
        "language": "zh",
        "group": "g",
    },
    {
        "messages": [
            {"role": "user", "content": "a"},
            {"role": "assistant", "content": "b"},
            {"role": "user", "content": "c"},
            {"role": "assistant", "content": "d"},
        ],
        "id": "r2",
        "task": "",
        "language": "en",
        "group": "",
    },
]
SHAREGPT = [{"conversations": [{"from": "human", "value": "q"}, {"from": "gpt", "value": "a"}]}]
PREFERENCE = [
    {"prompt": "q", "chosen": "good", "rejected": "bad"},
]
PREFERENCE_LISTS = [
    {
        "prompt": [{"role": "user", "content": "q"}],
        "chosen": [{"role": "assistant", "content": "good"}],
        "rejected": [{"role": "assistant", "content": "bad"}],
    }
]
PREFERENCE_IMPLICIT = [
    {
        "chosen": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "good"}],
        "rejected": [{"role": "user", "content": "q"}, {"role": "assistant", "content": "bad"}],
    }
]
RECORDS = {
    "alpaca": ALPACA,
    "chat": CHAT,
    "sharegpt": SHAREGPT,
    "preference": PREFERENCE,
    "preference-lists": PREFERENCE_LISTS,
    "preference-implicit": PREFERENCE_IMPLICIT,
}
EXPECTED = {
    "alpaca": [
        ([("user", "Add.\n1 2")], "3", None),
        ([("system", "Be brief."), ("user", "Say hi.")], "hi", None),
    ],
    "chat": [
        ([("system", "Be brief."), ("user", "你好")], "在", None),
        ([("user", "a"), ("assistant", "b"), ("user", "c")], "d", None),
    ],
    "sharegpt": [([("user", "q")], "a", None)],
    "preference": [([("user", "q")], "good", "bad")],
    "preference-lists": [([("user", "q")], "good", "bad")],
    "preference-implicit": [([("user", "q")], "good", "bad")],
}


def write_jsonl(records, folder):
    path = folder / "train.jsonl"
    path.write_text("".join(json.dumps(record, ensure_ascii=False) + "\n" for record in records), encoding="utf-8")
    return path


def write_json(records, folder):
    path = folder / "train.json"
    path.write_text(json.dumps(records, ensure_ascii=False, indent=2), encoding="utf-8")
    return path


def write_json_lines_named_json(records, folder):
    return write_jsonl(records, folder).rename(folder / "lines.json")


def write_json_with_mark(records, folder):
    path = folder / "train.json"
    path.write_text(json.dumps(records), encoding="utf-8-sig")
    return path


def write_parquet(records, folder):
    path = folder / "train.parquet"
    pq.write_table(pa.Table.from_pylist(records), path)
    return path


def write_arrow(records, folder):
    path = folder / "data.arrow"
    table = pa.Table.from_pylist(records)
    with pa.OSFile(str(path), "wb") as sink, pa.ipc.new_stream(sink, table.schema) as writer:
        writer.write_table(table)
    return path


def write_dataset(records, folder):
    # The real library writes; pyarrow alone reads.
    datasets = pytest.importorskip("datasets")
    path = folder / "saved"
    datasets.Dataset.from_list(records).save_to_disk(path)
    return path


CONTAINERS = {
    writer.__name__.removeprefix("write_"): writer
    for writer in (
        write_jsonl,
        write_json,
        write_json_lines_named_json,
        write_json_with_mark,
        write_parquet,
        write_arrow,
        write_dataset,
    )
}


def simplify(row):
    return [(message.role, message.content) for message in row.messages], row.answer, row.rejected


@pytest.mark.parametrize("container", CONTAINERS)
@pytest.mark.parametrize("name", RECORDS)
def test_every_format_in_every_container(name, container, tmp_path):
    path = CONTAINERS[container](RECORDS[name], tmp_path)
    rows = list(iter_rows(path))
    assert all(isinstance(row, Row) for row in rows), rows
    assert [simplify(row) for row in rows] == EXPECTED[name]
    assert [Row.model_validate(row.model_dump()) for row in rows] == rows
    explicit = {"sharegpt": "chat"}.get(name, name.partition("-")[0])
    assert list(iter_rows(path, ReadOptions(explicit))) == rows
    travelled = pickle.loads(pickle.dumps(list(iter_pieces(path))))  # noqa: S301 - what was pickled just here
    assert [read_piece(piece) for piece in travelled] == rows


def test_columns_that_rows_may_carry(tmp_path):
    first, second = iter_rows(write_jsonl(CHAT, tmp_path))
    assert (first.id, first.task, first.language, first.group) == ("r1", "question", "zh", "g")
    assert second.id == "r2"


def test_rows_without_an_id_are_named_by_their_place(tmp_path):
    assert [row.id for row in iter_rows(write_jsonl(ALPACA, tmp_path))] == ["train.jsonl:1", "train.jsonl:2"]
    path = write_json(ALPACA, tmp_path)
    assert [row.id for row in iter_rows(path, label="x")] == ["x:2", "x:8"]


def test_a_content_list_of_texts_is_joined(tmp_path):
    parts = [{"type": "text", "text": "a"}, {"type": "text", "text": "b"}]
    record = {"messages": [{"role": "user", "content": parts}, {"role": "assistant", "content": "c"}]}
    assert simplify(next(iter_rows(write_jsonl([record], tmp_path)))) == ([("user", "ab")], "c", None)


GOOD = json.dumps(ALPACA[0])


@pytest.mark.parametrize(
    ("line", "kind", "detail"),
    [
        ('{"instruction": "Add."', "broken_json", "at character"),
        ('{"instruction": "a\tb"}', "broken_json", "control character at character 19 of the row"),
        ("[" * 100_000, "broken_json", "nested too deeply"),
        ('{"instruction": 1' + "0" * 5000 + "}", "broken_json", "digits"),
        ("[1]", "wrong_type", "a row must be an object, got list"),
        ('{"instruction": "Add.", "output": 3}', "wrong_type", "column 'output' must be text, got a number"),
        ('{"instruction": "Add.", "outputs": "3"}', "missing_column", "did you mean 'output'?"),
        ('{"instruction": "Add.", "output": null}', "missing_column", "column 'output' is empty"),
        ('{"instruction": "Add.", "output": "\\ud800"}', "invalid_utf8", "surrogate"),
        ('{"instruction": ["Add."], "output": "3"}', "wrong_type", "got a list"),
    ],
)
def test_defects_are_named_and_reading_goes_on(line, kind, detail, tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_text(f"{GOOD}\n{line}\n\n{GOOD}\n", encoding="utf-8")
    first, defect, last = iter_rows(path)
    assert isinstance(first, Row)
    assert isinstance(last, Row)
    assert (defect.file, defect.line, defect.kind) == (path, 2, kind)
    assert detail in defect.detail
    assert last.id == "train.jsonl:4"
    assert str(defect).startswith(f"{path}:2: {kind}: ")


@pytest.mark.parametrize(
    ("record", "kind", "detail"),
    [
        ({"messages": []}, "wrong_type", "empty list"),
        ({"messages": "hi"}, "wrong_type", "list of messages, got text"),
        ({"messages": ["hi"]}, "wrong_type", "messages[0] must be a message"),
        ({"messages": [{"role": "usr", "content": "q"}]}, "wrong_type", "did you mean 'user'?"),
        ({"messages": [{"rol": "user", "content": "q"}]}, "missing_column", "did you mean 'role'?"),
        ({"messages": [{"role": "user", "content": None}]}, "wrong_type", "must be text, got nothing"),
        ({"messages": [{"role": "user", "content": [{"type": "image"}]}]}, "wrong_type", "only text parts"),
        ({"messages": [{"role": "user", "content": "q"}]}, "missing_column", "no answer"),
        ({"messages": [{"role": "assistant", "content": "a"}]}, "missing_column", "no prompt"),
        ({"chosen": "a", "rejected": "b"}, "missing_column", "'prompt' is missing"),
        ({"prompt": "q", "chosen": "a"}, "missing_column", "'rejected' is missing"),
        ({"prompt": "q", "chosen": 1, "rejected": "b"}, "wrong_type", "list of messages, got a number"),
        (
            {"chosen": CHAT[0]["messages"], "rejected": CHAT[1]["messages"]},
            "missing_column",
            "do not start alike",
        ),
        ({"mesages": []}, "missing_column", "did you mean 'messages'?"),
        ({"text": "x"}, "missing_column", "plain text is not read"),
        ({"body": "x"}, "missing_column", "no column of a known format, has body"),
    ],
)
def test_wrong_columns_are_named(record, kind, detail, tmp_path):
    (defect,) = iter_rows(write_jsonl([record], tmp_path))
    assert (defect.kind, defect.line) == (kind, 1)
    assert detail in defect.detail


def test_bytes_that_are_not_utf8(tmp_path):
    path = tmp_path / "train.jsonl"
    path.write_bytes(GOOD.encode() + b'\n{"instruction": "\xff", "output": "x"}\n' + GOOD.encode())
    kinds = [row.kind if isinstance(row, Defect) else "" for row in iter_rows(path)]
    assert kinds == ["", "invalid_utf8", ""]


def test_parquet_text_that_is_not_utf8(tmp_path):
    outputs = pa.Array.from_buffers(
        pa.string(), 2, [None, pa.py_buffer(b"\0\0\0\0\1\0\0\0\2\0\0\0"), pa.py_buffer(b"\xffb")]
    )
    path = tmp_path / "train.parquet"
    pq.write_table(pa.table({"instruction": ["a", "b"], "output": outputs}), path)
    defect, row = iter_rows(path)
    assert (defect.kind, defect.line, row.answer) == ("invalid_utf8", 1, "b")


def test_a_broken_element_of_an_array_hides_no_other(tmp_path):
    path = tmp_path / "train.json"
    path.write_text(f'[{GOOD},\n{{"instruction": "x", output}},\n7,\n{GOOD}]', encoding="utf-8")
    first, broken, number, last = iter_rows(path)
    assert [type(row) for row in (first, last)] == [Row, Row]
    assert (broken.kind, broken.line) == ("broken_json", 2)
    assert (number.kind, number.line) == ("wrong_type", 3)
    assert last.id == "train.json:4"


@pytest.mark.parametrize(("tail", "detail"), [("", "not closed"), (f"] {GOOD}", "behind the end")])
def test_an_array_that_ends_too_early_or_too_late(tail, detail, tmp_path):
    path = tmp_path / "train.json"
    path.write_text(f"[{GOOD},{GOOD},{tail}", encoding="utf-8")
    *rows, defect = iter_rows(path)
    assert len(rows) == 2
    assert detail in defect.detail


TEXTS = st.text(st.characters(exclude_categories=["Cs"]), max_size=30)
ANYTHING = st.recursive(
    st.none() | st.booleans() | st.integers(-(10**9), 10**9) | TEXTS,
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(TEXTS, inner, max_size=3),
    max_leaves=8,
)


@settings(max_examples=150)
@given(st.lists(ANYTHING, max_size=8), st.integers(1, 40), st.sampled_from([None, 1, "\t"]), st.booleans())
def test_arrays_are_cut_as_json_cuts_them_wherever_chunks_end(elements, chunk_bytes, indent, ascii_only):
    raw = json.dumps(elements, indent=indent, ensure_ascii=ascii_only).encode()
    scan = json_stream._ArrayScan(max_row_bytes=10_000)
    found = []
    for start in range(0, len(raw), chunk_bytes):
        found.extend(scan.feed(raw[start : start + chunk_bytes]))
    assert [json.loads(piece) for _, piece in found] == elements
    assert scan.is_closed


@settings(max_examples=100)
@given(st.binary(max_size=300))
def test_no_bytes_make_the_reader_fail(tmp_path_factory, raw):
    folder = tmp_path_factory.mktemp("raw")
    for name in ("a.jsonl", "a.json", "a.parquet", "a.arrow"):
        (folder / name).write_bytes(raw)
        try:
            found = list(iter_rows(folder / name))
        except DataError as error:
            found = [error.detail]
        assert found
        assert all(isinstance(row, Row | Defect) or str(folder / name) in row for row in found)


@settings(max_examples=100)
@given(
    st.lists(st.dictionaries(st.sampled_from(["instruction", "output", "messages", "chosen"]), ANYTHING), max_size=5)
)
def test_no_record_makes_the_reader_fail(tmp_path_factory, records):
    path = write_jsonl([*records, ALPACA[0]], tmp_path_factory.mktemp("records"))
    assert len(list(iter_rows(path))) == len(records) + 1


@pytest.mark.parametrize("content", ["", "\n \n", "[]", "[\n]\n"])
def test_an_empty_file_is_an_error(content, tmp_path):
    path = tmp_path / "train.json"
    path.write_text(content)
    with pytest.raises(DataError, match="holds no rows"):
        list(iter_rows(path))


def test_a_missing_file_is_named_with_a_fix(tmp_path):
    with pytest.raises(DataError) as caught:
        list(iter_rows(tmp_path / "no.jsonl"))
    assert caught.value.reason is Reason.DATA_MISSING
    assert "no.jsonl" in caught.value.detail
    assert caught.value.fix


@pytest.mark.parametrize(
    ("name", "content", "message"),
    [
        ("a.parquet", b"PAR1 no", "not a readable Parquet file"),
        ("a.arrow", b"no", "not a readable Arrow stream"),
        ("a.jsnl", b"{}", "did you mean '.jsonl'"),
        ("a.jsonl", '{"a": 1}'.encode("utf-16-le"), "UTF-16"),
    ],
)
def test_files_of_another_kind(name, content, message, tmp_path):
    path = tmp_path / name
    path.write_bytes(content)
    with pytest.raises(DataError, match=message):
        list(iter_rows(path))


def test_a_long_row_is_passed_over(tmp_path):
    for writer in (write_jsonl, write_json, write_parquet):
        path = writer([ALPACA[0], {**ALPACA[0], "output": "x" * 5000}, ALPACA[0]], tmp_path)
        first, defect, last = iter_rows(path, ReadOptions(max_row_bytes=2000))
        assert isinstance(first, Row)
        assert isinstance(last, Row)
        assert defect.kind == "row_too_long"
        assert "2,000" in defect.detail


@pytest.mark.parametrize(
    ("name", "start", "end", "size_bytes"), [("a.jsonl", b"", b"\n", 1 << 30), ("a.json", b"[", b",", 1 << 28)]
)
def test_a_line_of_one_gib_is_passed_over_in_bounded_memory(name, start, end, size_bytes, tmp_path):
    # A sparse file: zero bytes inside a row, almost none of them on the disk.
    path = tmp_path / name
    with path.open("wb") as handle:
        handle.write(start + b'{"instruction": "')
        handle.seek(size_bytes)
        handle.write(b'"}' + end + GOOD.encode() + (b"]" if start else b"\n"))
    code = (
        "import resource, sys, pathlib\n"
        "from practicum_jobs.datasets.readers import iter_rows\n"
        "before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss\n"
        "for row in iter_rows(pathlib.Path(sys.argv[1])): print(getattr(row, 'kind', row.__class__.__name__))\n"
        "print(resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before)\n"
    )
    done = subprocess.run([sys.executable, "-c", code, path], capture_output=True, text=True, check=True, timeout=60)
    kind, row, grown_kib = done.stdout.split()
    assert (kind, row) == ("row_too_long", "Row")
    assert int(grown_kib) < 30_000


def test_memory_does_not_grow_with_the_file(tmp_path):
    path = tmp_path / "train.jsonl"
    line = json.dumps({"instruction": "x" * 400, "output": "y" * 400}) + "\n"
    with path.open("w") as handle:
        for _ in range(50):
            handle.write(line * 1000)
    before = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss
    assert sum(1 for _ in iter_rows(path)) == 50_000
    assert resource.getrusage(resource.RUSAGE_SELF).ru_maxrss - before < 20_000
