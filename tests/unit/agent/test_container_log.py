"""What the container's log shows of its stage."""

from __future__ import annotations

import io
import sys

from practicum_jobs.agent.container_log import LogTail, open_container_log


def test_a_log_is_copied_from_where_the_pod_began(tmp_path):
    log, out = tmp_path / "log.txt", io.BytesIO()
    log.write_bytes(b"an earlier attempt\n")
    tail = LogTail(log, out)
    tail.copy()
    assert out.getvalue() == b""
    with log.open("ab") as handle:
        handle.write("第一行\nhalf a".encode())
    tail.copy()
    with log.open("ab") as handle:
        handle.write(b" line\xff\n" + b"x" * 200_000)
    tail.copy()
    tail.copy()
    assert out.getvalue() == "第一行\nhalf a line".encode() + b"\xff\n" + b"x" * 200_000


def test_a_log_that_is_not_there_yet_is_copied_whole(tmp_path):
    log, out = tmp_path / "log.txt", io.BytesIO()
    tail = LogTail(log, out)
    tail.copy()
    log.write_bytes(b"hello\n")
    tail.copy()
    log.unlink()
    tail.copy()
    assert out.getvalue() == b"hello\n"


def test_in_a_ray_head_the_first_process_prints_the_log(tmp_path):
    first = tmp_path / "output"
    first.write_bytes(b"ray start\n")
    with open_container_log({"KUBERAY_GEN_RAY_START_CMD": "ray start"}, first) as out:
        out.write(b"step 1\n")
    assert first.read_bytes() == b"ray start\nstep 1\n"
    assert open_container_log({}, first) is sys.stdout.buffer
    assert open_container_log({"KUBERAY_GEN_RAY_START_CMD": ""}, tmp_path / "not/there") is sys.stdout.buffer
