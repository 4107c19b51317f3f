"""Terminals without our characters, closed streams and readers that go away never end a command."""

from __future__ import annotations

import json
import os
import subprocess
import sys

import pytest

from practicum_cli.request import normalize_uri

COMMANDS = {
    "weeks": (["weeks"], 0),
    "help": (["--help"], 0),
    "a file that is not there": (["run", "week-03", "--data", "没有.jsonl"], 3),
}


def run(arguments, encoding="utf-8", **options):
    command = [sys.executable, "-m", "practicum_cli.main", *arguments]
    variables = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
    options = {"stdout": subprocess.PIPE, "stderr": subprocess.PIPE, **options}
    return subprocess.run(command, env=variables, check=False, timeout=60, **options)


@pytest.mark.parametrize("encoding", ["latin-1", "cp1252", "gbk"])
@pytest.mark.parametrize("command", COMMANDS)
def test_every_command_works_in_every_encoding(command, encoding, tmp_path):
    arguments, expected = COMMANDS[command]
    ended = run(arguments, encoding, cwd=tmp_path)
    assert ended.returncode == expected, ended.stderr
    assert b"Internal" not in ended.stderr
    assert b"Traceback" not in ended.stderr


def test_what_the_encoding_lacks_is_replaced_and_the_rest_is_kept(tmp_path):
    printed = run(["weeks", "--variant", "8"], "shift_jis", cwd=tmp_path).stdout
    assert b"data-and-sft" in printed
    assert b"?" in printed
    assert "数据".encode("shift_jis", "replace")[-2:] in printed


def test_json_loses_nothing_in_an_encoding_that_lacks_its_characters(tmp_path):
    program = "from practicum_cli.streams import *; prepare_streams(); tell_json({'message': '订单 é \\U0001f600'})"
    for encoding in ("latin-1", "gbk", "utf-8", "ascii"):
        variables = os.environ | {"PYTHONIOENCODING": encoding, "PYTHONPATH": os.pathsep.join(sys.path)}
        ended = subprocess.run([sys.executable, "-c", program], env=variables, capture_output=True, check=True)
        assert json.loads(ended.stdout.decode(encoding)) == {"message": "订单 é \U0001f600"}


@pytest.mark.parametrize("closed", ["2>&-", "0<&- 1>&- 2>&-"])
@pytest.mark.parametrize("command", COMMANDS)
def test_closed_streams_change_nothing(command, closed, tmp_path):
    arguments, expected = COMMANDS[command]
    script = f'exec "$@" {closed}'
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    ended = subprocess.run(
        ["sh", "-c", script, "sh", sys.executable, "-m", "practicum_cli.main", *arguments],
        env=variables,
        cwd=tmp_path,
        capture_output=True,
        check=False,
        timeout=60,
    )
    assert ended.returncode == expected, ended.stderr
    assert b"Internal" not in ended.stderr


def test_a_closed_stream_is_not_taken_by_the_next_file_that_is_opened(tmp_path):
    program = (
        "from practicum_cli.streams import *; prepare_streams();"
        "f = open('kept.txt', 'w'); tell('lost', err=True); print(f.fileno() > 2); f.close()"
    )
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    command = ["sh", "-c", 'exec "$@" 2>&-', "sh", sys.executable, "-c", program]
    ended = subprocess.run(command, env=variables, cwd=tmp_path, capture_output=True, check=True)
    assert ended.stdout == b"True\n"
    assert (tmp_path / "kept.txt").read_bytes() == b""


@pytest.mark.parametrize("stream", ["stdout", "stderr"])
@pytest.mark.parametrize("reader", ["gone", "full"])
def test_work_goes_on_and_keeps_its_exit_code_when_its_reader_goes_away(stream, reader, tmp_path):
    program = (
        "import sys; from practicum_cli.streams import *; prepare_streams()\n"
        f"for number in range(100_000): tell('x' * 100, err={stream == 'stderr'})\n"
        "open('done', 'w').close(); sys.exit(7)"
    )
    variables = os.environ | {"PYTHONPATH": os.pathsep.join(sys.path)}
    reading, writing = os.pipe()
    os.close(reading)
    full = os.open("/dev/full", os.O_WRONLY)
    target = {stream: writing if reader == "gone" else full}
    ended = subprocess.run([sys.executable, "-c", program], env=variables, cwd=tmp_path, check=False, **target)
    os.close(writing)
    os.close(full)
    assert ended.returncode == 7
    assert (tmp_path / "done").exists()


def test_a_command_that_only_prints_ends_quietly_with_its_reader(tmp_path):
    reading, writing = os.pipe()
    os.close(reading)
    ended = run(["weeks"], cwd=tmp_path, stdout=writing)
    os.close(writing)
    assert (ended.returncode, ended.stderr) == (0, b"")


def test_an_error_that_nobody_can_read_keeps_its_exit_code(tmp_path):
    full = os.open("/dev/full", os.O_WRONLY)
    assert run(["run", "week-99"], cwd=tmp_path, stderr=full).returncode == 2
    os.close(full)


def test_a_name_that_begins_with_a_tilde_is_a_file_of_that_name(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setenv("HOME", str(tmp_path / "home"))
    for name in ("~x.jsonl", "~root", "home/mine.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    assert normalize_uri("~x.jsonl", "data") == f"file://{tmp_path}/~x.jsonl"
    assert normalize_uri("~root", "data") == f"file://{tmp_path}/~root"
    assert normalize_uri("~/mine.jsonl", "data") == f"file://{tmp_path}/home/mine.jsonl"
