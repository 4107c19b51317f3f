"""Mutated data files and records: no fault without a name, and no part of a record is lost in silence.

``PRACTICUM_FUZZ_FILES=10000`` runs that many files instead of the few that fit into the normal suite.
"""

from __future__ import annotations

import copy
import gzip
import json
import os
import tempfile
import zlib
from collections import Counter
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st

from practicum_core.errors import PracticumError
from practicum_core.rows import Row
from practicum_core.stages.audit import AuditConfig, AuditRecord
from practicum_jobs.audit import run
from practicum_jobs.audit.places import read_row, write_place
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.json_layout import find_layout
from practicum_jobs.datasets.readers import Defect, Origin, Raw, ReadOptions, iter_pieces, read_place

NUM_FILES = int(os.environ.get("PRACTICUM_FUZZ_FILES", "200"))
PROFILE = settings(
    max_examples=NUM_FILES,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    derandomize=NUM_FILES == 200,
    database=None,
)
STAGE_PERIOD = 10
"""Every so many files the whole stage runs on one, in this process."""

CALL = {"id": "c1", "type": "function", "function": {"name": "f", "arguments": '{"n": 1}'}}
TURNS = [
    {"role": "system", "content": "sys"},
    {"role": "user", "content": "ask"},
    {"role": "assistant", "content": "think", "reasoning_content": "why", "tool_calls": [CALL]},
    {"role": "tool", "content": "result", "tool_call_id": "c1", "name": "f"},
    {"role": "assistant", "content": [{"type": "text", "text": "part"}]},
]
SHAREGPT = [
    {"from": "human", "value": "ask"},
    {"from": "function_call", "value": '{"name": "f", "arguments": {}}'},
    {"from": "observation", "value": "seen"},
    {"from": "gpt", "value": "told"},
]
HH = "\n\nHuman: hello\n\nAssistant: hi\n\nHuman: why\n\nAssistant:"
RECORDS = [
    {"id": "r1", "messages": TURNS, "tools": [{"name": "f"}], "task": "t", "language": "en", "group": "g", "url": "w"},
    {"conversations": SHAREGPT, "system": "sys", "tools": '[{"name": "f"}]', "answer": "late"},
    {"instruction": "ask", "input": "given", "output": "told", "system": "sys", "history": [["old", "older"]]},
    {"instruction": "ask", "context": "given", "response": "told", "category": "open"},
    {"prompt": [TURNS[1]], "completion": [{"role": "assistant", "content": "told"}], "label": True},
    {"question": "ask", "answer": "told", "score": 5},
    {"prompt": "ask", "chosen": "good", "rejected": "bad", "margin": 0.5},
    {"chosen": [*TURNS[:2], {"role": "assistant", "content": "good"}],
     "rejected": [*TURNS[:2], {"role": "assistant", "content": "bad"}], "prompt": "ask"},
    {"chosen": HH + " good", "rejected": HH + " bad"},
    {"instruction": "ask", "output": ["good", "bad"]},
    {"messages": {"role": ["user", "assistant"], "content": ["ask", "told"]}},
]  # fmt: skip
KEYS = sorted({key for record in RECORDS for key in record} | {"query", "solution", "kto_tag", "extra", "text"})
STRUCTURE = {"role", "from", "type"}


def fresh_values(number):
    text = f"v{number}v"
    return [None, "", [], {}, number, True, 0.5, text, [text], {"k": text}, [{"role": "user", "content": text}],
            [[text, text]], [[text]], json.dumps({"role": "user", "content": text})]  # fmt: skip


def list_containers(value):
    found = [value] if isinstance(value, dict | list) else []
    parts = value.values() if isinstance(value, dict) else value if isinstance(value, list) else ()
    return found + [inner for part in parts for inner in list_containers(part)]


@st.composite
def build_record(draw):
    record = copy.deepcopy(draw(st.sampled_from(RECORDS)))
    for turn in range(draw(st.integers(0, 3))):
        place = draw(st.sampled_from(list_containers(record)))
        value = draw(st.sampled_from(fresh_values(7_000_001 + turn)))
        kind = draw(st.sampled_from(["set", "remove", "add", "rename"]))
        if isinstance(place, list):
            if kind == "remove" and place:
                place.pop(draw(st.integers(0, len(place) - 1)))
            else:
                place.insert(draw(st.integers(0, len(place))), value)
            continue
        key = draw(st.sampled_from([*place, "extra"]))
        if kind == "remove":
            place.pop(key, None)
        elif kind == "rename" and key in place:
            place[draw(st.sampled_from(KEYS))] = place.pop(key)
        else:
            place[draw(st.sampled_from(KEYS)) if kind == "add" else key] = value
    return record


def list_leaves(value, key=""):
    """Yield what a record says: texts and numbers, but for names of roles and types."""
    if isinstance(value, dict):
        for name, part in value.items():
            yield from list_leaves(part, name)
    elif isinstance(value, list):
        for part in value:
            yield from list_leaves(part, key)
    elif key not in STRUCTURE and not isinstance(value, bool) and value not in (None, ""):
        yield value


def is_held(leaf, text):
    """Whether a row's text holds a leaf; what a column holds as JSON or as a transcript may be taken apart."""
    shown = str(leaf)
    if shown in text or json.dumps(leaf, ensure_ascii=False)[1:-1] in text:
        return True
    words = [word for word in shown.replace('"', " ").split() if word.isalnum() and word not in {"Human", "Assistant"}]
    is_structured = shown.lstrip().startswith(("[", "{", "Human:"))
    return is_structured and all(word in text for word in words if word not in {"name", "arguments", "role", "content"})


@PROFILE
@given(build_record())
def test_nothing_of_a_record_is_left_out_without_a_word(record):
    place = read_place(Raw(Origin(Path("a.jsonl"), "a.jsonl", "auto"), 1, json.dumps(record).encode()))
    if isinstance(place.content, Defect):
        return
    row = place.content
    assert read_row(write_place(row)) == row
    assert Row.model_validate_json(row.model_dump_json()) == row
    text = row.model_dump_json() + json.dumps(row.model_dump(), ensure_ascii=False)
    for key, value in record.items():
        if key in place.unread or any(name.startswith((f"{key}[", f"{key}.")) for name in place.unread):
            continue
        lost = [leaf for leaf in list_leaves(value, key) if not is_held(leaf, text)]
        assert not lost, (key, lost, record, place)


def write_seed(folder, name):
    """Write a good file of a kind; return its path."""
    path = folder / name
    lines = "".join(json.dumps(record, ensure_ascii=False) + "\n" for record in RECORDS).encode()
    flat = [{"instruction": f"问{n}", "output": f'a,{n}\n"x"', "source": "w"} for n in range(4)]
    table = pa.Table.from_pylist([*flat, {"messages": TURNS[:2]}])
    raw = {
        "a.jsonl": lambda: lines,
        "a.json": lambda: json.dumps(RECORDS).encode(),
        "pretty.json": lambda: "\n".join(json.dumps(record, indent=1) for record in RECORDS).encode(),
        "data.json": lambda: json.dumps({"version": 1, "data": RECORDS, "n": 2}).encode(),
        "gbk.jsonl": lambda: lines.decode().encode("gbk"),
        "a.jsonl.gz": lambda: gzip.compress(lines),
        "a.jsonl.zst": lambda: compress(lines),
        "a.csv": lambda: b'instruction,output\n"q, 1","a\n2"\nq2,\n\nq3,"say ""hi"""\n',
        "a.tsv": lambda: "instruction\toutput\n问\t答\n".encode() * 3,
        "a.parquet": lambda: write_table(table, parquet=True),
        "stream.arrow": lambda: write_table(table, stream=True),
        "file.arrow": lambda: write_table(table),
    }[name]()  # fmt: skip
    path.write_bytes(raw)
    return path


def compress(raw):
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(raw)
    return sink.getvalue().to_pybytes()


def write_table(table, *, parquet=False, stream=False):
    sink = pa.BufferOutputStream()
    if parquet:
        pq.write_table(table, sink)
        return sink.getvalue().to_pybytes()
    make = pa.ipc.new_stream if stream else pa.ipc.new_file
    with make(sink, table.schema) as writer:
        writer.write_table(table)
    return sink.getvalue().to_pybytes()


NAMES = ("a.jsonl", "a.json", "pretty.json", "data.json", "gbk.jsonl", "a.jsonl.gz", "a.jsonl.zst", "a.csv", "a.tsv",
         "a.parquet", "stream.arrow", "file.arrow")  # fmt: skip
TOKENS = [b'"', b"{", b"}", b"[", b"]", b",", b":", b"\n", b"\r\n", b"\\", b"\xff", b"\x00", b"\xef\xbb\xbf",
          b'"data"', b"null", b"\\ud800", b"1e999", b'"a":1,"a":2,', b"\xc4\xe3", b"{" * 40, b"[" * 3000, b"PAR1",
          b"ARROW1"]  # fmt: skip


@st.composite
def mutate(draw, raw):
    """Change a few places of some bytes."""
    raw = bytearray(raw)
    for _ in range(draw(st.integers(0, 5))):
        at = draw(st.integers(0, len(raw)))
        size = draw(st.integers(0, 40))
        kind = draw(st.sampled_from(["insert", "remove", "flip", "cut", "repeat", "swap"]))
        if kind == "insert":
            raw[at:at] = draw(st.sampled_from(TOKENS))
        elif kind == "remove":
            del raw[at : at + size]
        elif kind == "flip" and at < len(raw):
            raw[at] ^= 1 << draw(st.integers(0, 7))
        elif kind == "cut":
            del raw[at:]
        elif kind == "repeat":
            raw[at:at] = raw[at : at + size] * draw(st.integers(1, 4))
        elif kind == "swap":
            raw[at : at + size] = raw[at : at + size][::-1]
    return bytes(raw)


SEEDS = {name: write_seed(Path(tempfile.mkdtemp(prefix="fuzz-seed-")), name).read_bytes() for name in NAMES}
SEEN: Counter[str] = Counter()


@st.composite
def build_file(draw):
    name = draw(st.sampled_from(NAMES))
    encoding = "gbk" if name.startswith("gbk") or draw(st.integers(0, 19)) == 0 else ""
    return name, encoding, draw(mutate(SEEDS[name])), draw(st.integers(0, STAGE_PERIOD - 1)) == 0


@PROFILE
@given(build_file())
def test_mutated_files_are_read_or_refused_in_one_sentence(file):
    name, encoding, raw, runs_stage = file
    with tempfile.TemporaryDirectory(prefix="fuzz-") as folder:
        path = Path(folder, name)
        path.write_bytes(raw)
        SEEN[name] += 1
        places, refusal = read_places(path, encoding)
        if refusal is None:
            check_places(name, raw, encoding, places)
        else:
            assert refusal.detail
            assert refusal.fix
            SEEN["refused"] += 1
        if runs_stage:
            check_stage(path, Path(folder, "run"), encoding, places, refusal)


def read_places(path, encoding):
    """Return the places of a file and what refused it, if anything did."""
    places = []
    try:
        places.extend(read_place(piece) for piece in iter_pieces(path, ReadOptions(encoding=encoding)))
    except PracticumError as error:
        return places, error
    return places, None


def check_places(name, raw, encoding, places):
    assert places
    for place in places:
        if isinstance(place.content, Row):
            assert read_row(write_place(place.content)) == place.content
    num_records = count_records(name, raw) if not encoding or name == "gbk.jsonl" else None
    if num_records is not None:
        SEEN["counted"] += 1
        assert len(places) == num_records, "a record is neither a row nor a defect"


def count_records(name, raw):
    """Count the records of a file by the libraries of its kind alone; ``None`` where they cannot read it."""
    try:
        if name.endswith(".parquet") and raw[:4] == raw[-4:] == b"PAR1":
            return pq.read_table(pa.BufferReader(raw)).num_rows
        if name.endswith(".arrow"):
            opened = pa.ipc.open_file(raw) if raw.startswith(b"ARROW1") else pa.ipc.open_stream(raw)
            table = opened.read_all()
            table.validate(full=True)
            return table.num_rows
        if name.endswith(".gz"):
            raw = gzip.decompress(raw)
        if name.endswith(".zst"):
            raw = pa.CompressedInputStream(pa.BufferReader(raw), "zstd").read()
        text = raw.decode("gbk" if name.startswith("gbk") else "utf-8")
    except (pa.ArrowException, OSError, EOFError, UnicodeDecodeError, zlib.error):
        return None
    return count_in_text(name, text)


def count_in_text(name, text):
    """Count the records of a text that is not mutated into another kind of file."""
    if text.startswith(("PAR1", "ARROW1", "\ufeff")) or "\0" in text:
        return None
    layout = find_layout(text.encode()[: 1 << 16], is_whole=True).kind
    if ".jsonl" in name and layout == "lines":
        # Each line that is not blank is one place, whatever it holds.
        return sum(bool(line) and not line.isspace() for line in text.split("\n"))
    if name == "a.json" and layout == "array":
        try:
            return len(json.loads(text))
        except ValueError:
            return None
    return None


def check_stage(path, folder, encoding, places, refusal):
    """The stage ends in a record that counts every place, or in one sentence."""
    folder.mkdir()
    SEEN["stage"] += 1
    config = AuditConfig(data=str(path), model=None, workers=1, encoding=encoding or "utf-8")
    context = StageContext(folder, "audit", "audit", folder / "cache")
    if refusal is not None or not any(isinstance(place.content, Row) for place in places):
        with pytest.raises(PracticumError):
            run(config, context)
        return
    record = run(config, context)
    assert isinstance(record, AuditRecord)
    broken = next(metric.value for metric in record.metrics if metric.name == "broken_rows")
    assert record.num_rows + broken == len(places)
    counts = {finding.name: finding.num_rows for finding in record.findings}
    assert counts["unread_column"] == sum(bool(place.unread) for place in places if isinstance(place.content, Row))


def test_every_kind_of_file_was_tried():
    print(dict(SEEN))  # noqa: T201 - the figures of a long run
    if SEEN:
        assert set(NAMES) <= set(SEEN)
