"""How the controller reads a watch: lines of any length in chunks of any size, ends, cuts and errors."""

from __future__ import annotations

import asyncio
import contextlib
import json
import time

import pytest
from aiohttp import web
from hypothesis import given
from hypothesis import strategies as st
from kubernetes.aio.client import ApiClient, Configuration

from practicum_controller.client import ApiFault, KubernetesCluster
from practicum_controller.kinds import PODS
from practicum_controller.lines import split_lines


async def collect(items):
    return [item async for item in items]


async def feed(chunks):
    for chunk in chunks:
        yield chunk


def split(chunks):
    return asyncio.run(collect(split_lines(feed(chunks))))


LINES = {
    "nothing": ([], []),
    "one": ([b"a\n"], [b"a"]),
    "several in a chunk": ([b"a\nbc\nd\n"], [b"a", b"bc", b"d"]),
    "one in several chunks": ([b"a", b"b", b"c\n"], [b"abc"]),
    "a break of its own": ([b"a", b"\n", b"b", b"\n"], [b"a", b"b"]),
    "a break that begins a chunk": ([b"ab", b"\ncd\ne", b"f\n"], [b"ab", b"cd", b"ef"]),
    "empty lines and chunks": ([b"\n\n", b"", b"a\n\n", b"\nb\n"], [b"a", b"b"]),
    "cut off": ([b"a\nb", b"c"], [b"a"]),
    "in the middle of a character": (["证\n".encode()[:2], "证\n据\n".encode()[2:]], ["证".encode(), "据".encode()]),
    "longer than the library reads": (
        [b"x" * 400_000, b"y" * 400_000 + b"\nz\n"],
        [b"x" * 400_000 + b"y" * 400_000, b"z"],
    ),
}


@pytest.mark.parametrize(("chunks", "lines"), LINES.values(), ids=LINES)
def test_lines_are_whole(chunks, lines):
    assert split(chunks) == lines


@given(st.lists(st.binary(max_size=8).map(lambda text: text.replace(b"\n", b"")), max_size=12), st.data())
def test_lines_do_not_depend_on_chunks(lines, data):
    text = b"".join(line + b"\n" for line in lines)
    cuts = sorted(data.draw(st.lists(st.integers(0, len(text)), max_size=20)))
    chunks = [text[begin:end] for begin, end in zip([0, *cuts], [*cuts, len(text)], strict=True)]
    assert split(chunks) == [line for line in lines if line]


def test_a_long_line_in_many_chunks_is_searched_once():
    """Each chunk searched with all that came before would take time by the square: half a minute here."""
    started_s = time.process_time()
    assert [len(line) for line in split([b"x" * 100] * 100_000 + [b"\n"])] == [10_000_000]
    assert time.process_time() - started_s < 5


def build_event(kind="ADDED", name="p", padding=""):
    metadata = {"name": name, "resourceVersion": "7", "annotations": {"x": padding}}
    return {"type": kind, "object": {"kind": "Pod", "metadata": metadata}}


def encode(*events):
    return b"".join(json.dumps(event).encode() + b"\n" for event in events)


@contextlib.asynccontextmanager
async def serve(handler):
    """An API server that answers every request as ``handler`` does, and the controller's client of it."""
    app = web.Application()
    app.router.add_get("/{path:.*}", handler)
    runner = web.AppRunner(app, access_log=None)
    await runner.setup()
    await web.TCPSite(runner, "127.0.0.1", 0).start()
    cluster = KubernetesCluster(ApiClient(Configuration(host=f"http://127.0.0.1:{runner.addresses[0][1]}")))
    try:
        yield cluster
    finally:
        await cluster.close()
        await runner.cleanup()


def watch(chunks, *, is_cut=False):
    """Watch a server that sends chunks; return what came, and the fault that ended it."""
    asked, seen = [], []

    async def answer(request):
        asked.append(request)
        response = web.StreamResponse()
        await response.prepare(request)
        for chunk in chunks:
            await response.write(chunk)
            await asyncio.sleep(0.01)
        if is_cut:
            request.transport.abort()
        return response

    async def look():
        async with serve(answer) as cluster:
            try:
                async for change, document in cluster.watch(PODS, "5", {"labelSelector": "a=b"}):
                    seen.append((change, document["metadata"]["name"]))
            except ApiFault as fault:
                return fault
            return None

    fault = asyncio.run(look())
    assert (asked[0].path, asked[0].query["watch"], asked[0].query["labelSelector"]) == ("/api/v1/pods", "true", "a=b")
    assert asked[0].query["resourceVersion"] == "5"
    return seen, fault


def test_a_watch_yields_events_of_any_length_however_they_are_cut():
    text = encode(build_event(), build_event("MODIFIED", "long", "证" * 200_000), build_event("DELETED", "q"))
    chunks = [text[begin : begin + 300_001] for begin in range(0, len(text), 300_001)]
    assert len(chunks) > 3
    assert watch(chunks) == ([("ADDED", "p"), ("MODIFIED", "long"), ("DELETED", "q")], None)


def test_a_watch_that_ends_in_a_line_leaves_it_to_the_next():
    assert watch([encode(build_event()), encode(build_event(name="half"))[:30]]) == ([("ADDED", "p")], None)


def test_a_watch_that_is_cut_says_so_and_keeps_what_was_whole():
    seen, fault = watch([encode(build_event()) + encode(build_event(name="half"))[:30]], is_cut=True)
    assert (seen, fault.status, "cut off" in fault.detail) == ([("ADDED", "p")], 0, True)


def test_an_error_in_a_watch_is_a_fault_with_its_code():
    error = {"type": "ERROR", "object": {"kind": "Status", "code": 410, "message": "too old resource version"}}
    seen, fault = watch([encode(build_event(), error, build_event(name="never"))])
    assert (seen, fault.is_too_old) == ([("ADDED", "p")], True)


@pytest.mark.parametrize(
    ("status", "text", "said"),
    [(410, '{"message": "too old"}', "410 too old"), (503, "<html>", "503 <html>"), (500, "", "500")],
)
def test_a_refused_watch_is_a_fault(status, text, said):
    async def look():
        async def refuse(_):
            return web.Response(status=status, text=text)

        async with serve(refuse) as cluster:
            return await collect(cluster.watch(PODS, "5"))

    with pytest.raises(ApiFault) as caught:
        asyncio.run(look())
    assert (caught.value.status, caught.value.is_too_old) == (status, status == 410)
    assert said in caught.value.detail


def test_a_server_that_is_away_is_a_fault():
    async def look():
        cluster = KubernetesCluster(ApiClient(Configuration(host="http://127.0.0.1:1")))
        try:
            return await collect(cluster.watch(PODS, "5"))
        finally:
            await cluster.close()

    with pytest.raises(ApiFault) as caught:
        asyncio.run(look())
    assert caught.value.status == 0
