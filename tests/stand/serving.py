"""What the tests of served models on a cluster share: images, keys, and clients in pods."""

from __future__ import annotations

import json
import os
import tempfile
import urllib.parse
from importlib.util import find_spec
from pathlib import Path

from derived_images import derive_image
from practicum_cluster.api import wait_until
from practicum_cluster.shipping import build_shipments

ENGINE_VARIABLE = "PRACTICUM_E2E_ENGINE"
"""``vllm`` has the tests serve SmolLM2 with vLLM in place of the fake engine; that needs minutes more."""
SHORT_LOAD_TEST = {
    "serve.max_num_seqs": 2,
    "loadtest.rates": [1.0, 40.0],
    "loadtest.rate_s": 4,
    "loadtest.warmup_s": 1,
    "loadtest.settle_s": 5,
    "loadtest.search_steps": 0,
    "loadtest.max_tokens": 4,
    "loadtest.slo_ttft_s": 1,
    "loadtest.max_dispatch_s": 1,
}
"""Options of a week with a load test, for the fake engine."""
_FAKE_IMAGE = "localhost/practicum-fake-serve:dev"
_STAND = Path(__file__).parent
_PACKAGE = "/opt/practicum/src"
_ADAPTER = f"{_PACKAGE}/practicum_jobs/adapters/vllm_server.py"
_MEMORY = f"{_PACKAGE}/practicum_jobs/serve/memory.py"


def uses_vllm():
    return os.environ.get(ENGINE_VARIABLE) == "vllm"


def install_serving(school, source="train"):
    """Bring the images of gateway and engine to the node, and let Practicum use them.

    The fake engine's image is made from ``source``: only ``serve`` has engines for the other stages beside it.
    """
    school.cluster.ship(*build_shipments(["gateway"]))
    if uses_vllm():
        school.cluster.ship(*build_shipments(["serve"]))
        # Without values, helm keeps those of the release before, and so the fake engine's image.
        school.install("--reset-values")
        return
    fakes = {path: f"{_PACKAGE}/{path.name}" for path in _STAND.glob("fake_*.py")}
    # What the environment of the real image has and train's lacks, of what is imported before the engine.
    fakes |= {Path(find_spec(name).origin).parent: f"{_PACKAGE}/{name}" for name in ("uvicorn", "h11")}
    school.cluster.ship(
        derive_image(source, _FAKE_IMAGE, fakes | {_write_adapter(): _ADAPTER, _write_memory(): _MEMORY})
    )
    school.install("--set", f"images.names.serve={_FAKE_IMAGE}")


def _write_adapter():
    """Return a copy of the adapter of vLLM that takes the fake server; all else of it is as it was."""
    real = Path(find_spec("practicum_jobs.adapters.vllm_server").origin)
    path = Path(tempfile.mkdtemp()) / real.name
    path.write_text(f"{real.read_text()}\n\nfrom fake_vllm_server import serve_until_stopped\n")
    return path


def _write_memory():
    """Return a copy of the estimate of memory in which an engine is one small process and not vLLM's three."""
    real = Path(find_spec("practicum_jobs.serve.memory").origin)
    text = real.read_text()
    assert text.count("PROCESSES_GIB = 2.5") == 1
    path = Path(tempfile.mkdtemp()) / real.name
    path.write_text(text.replace("PROCESSES_GIB = 2.5", "PROCESSES_GIB = 0.3"))
    return path


def install_kserve(school):
    """Bring KServe and KEDA to the cluster, and KServe's runtime of Practicum."""
    school.cluster.install_serving_operators()
    school.install("--reuse-values", "--set", "serving.kserve.enabled=true")


def make_key(school, student, folder, *limits):
    """Make a key for a student's gateways by the command, and return it."""
    made = school.practicum(folder, "key", "make", student, "--namespace", student, *limits)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


_LOAD = """
import collections, json, threading, time, urllib.error, urllib.request
told, times_s, lock, end_s = collections.Counter(), [], threading.Lock(), time.monotonic() + {seconds}
def read(answer):
    last = {{}}
    for line in answer:
        if line.startswith(b"data: [DONE]"):
            return "ok"
        if line.startswith(b"data: "):
            last = json.loads(line[6:])
    return f"stream {{last.get('error', {{}}).get('code', 'cut off')}}"
def ask():
    while time.monotonic() < end_s:
        request = urllib.request.Request({url!r}, json.dumps({body!r}).encode(), {headers!r})
        started_s = time.monotonic()
        try:
            with urllib.request.urlopen(request, timeout=300) as answer:
                rung = answer.headers.get("x-practicum-degraded")
                said = read(answer)
                said = f"degraded {{rung}}" if rung and said == "ok" else said
        except urllib.error.HTTPError as error:
            said = f"{{error.code}} {{json.load(error)['error']['code']}}"
        except Exception as error:
            said = repr(error)
        with lock:
            told[said] += 1
            times_s.append(time.monotonic() - started_s)
        time.sleep({pause_s})
threads = [threading.Thread(target=ask) for _ in range({clients})]
[one.start() for one in threads]
[one.join() for one in threads]
print(json.dumps([told, sorted(times_s)[int(0.99 * len(times_s))]]))
"""
_ASK = """
import json, sys, urllib.error, urllib.request
body = {body!r}
headers = {{"Content-Type": "application/json", **{headers!r}}}
request = urllib.request.Request({url!r}, json.dumps(body).encode(), headers)
try:
    with urllib.request.urlopen(request, timeout={timeout_s}) as answer:
        print(json.dumps([answer.status, json.load(answer)]))
except urllib.error.HTTPError as error:
    print(json.dumps([error.code, json.load(error)]))
except OSError as error:
    print(json.dumps([0, repr(error)]))
"""
QUESTION = {
    "model": "smollm2-135m",
    "messages": [{"role": "user", "content": "Say hello."}],
    "max_tokens": 8,
    "temperature": 0,
}


def start_load(school, student, name, url, secret, *, clients, seconds, tokens=40, pause_s=0.0):
    """Start a pod whose clients read one stream of ``tokens`` tokens after the other, with a pause between them."""
    headers = {"Authorization": f"Bearer {secret}", "Content-Type": "application/json"}
    body = QUESTION | {"max_tokens": tokens, "ignore_eos": True, "stream": True}
    where = urllib.parse.urljoin(url, "/v1/chat/completions")
    values = {"headers": headers, "url": where, "body": body, "seconds": seconds, "clients": clients}
    values["pause_s"] = pause_s
    school.run_pod(student, name, _LOAD.format(**values))


def end_load(school, student, name, timeout_s):
    """Wait until a load has ended, and return how often each outcome was."""
    return measure_load(school, student, name, timeout_s)[0]


def measure_load(school, student, name, timeout_s):
    """Wait until a load has ended; return how often each outcome was, and the 99th percentile of the seconds."""
    path = f"/api/v1/namespaces/{student}/pods/{name}"
    wait_until(lambda: school.api.get(path)["status"]["phase"] in ("Succeeded", "Failed"), name, timeout_s, 1)
    try:
        return json.loads(school.client.kubectl("logs", name, "--namespace", student))
    finally:
        school.client.kubectl("delete", "pod", name, "--namespace", student, "--grace-period=0", "--force")


def ask(school, student, name, url, secret=None, timeout_s=60):
    """Ask for a completion from a pod of a student; return status and body, status 0 where nothing was reached."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    where = urllib.parse.urljoin(url, "/v1/chat/completions")
    school.run_pod(student, name, _ASK.format(url=where, headers=headers, body=QUESTION, timeout_s=timeout_s))
    try:
        return school.read_answer(student, name)
    finally:
        school.client.kubectl("delete", "pod", name, "--namespace", student, "--grace-period=0", "--force")
