"""What the tests of served models on a cluster share: images, keys, and clients in pods."""

from __future__ import annotations

import os
import urllib.parse
from pathlib import Path

from derived_images import derive_image
from practicum_cluster.shipping import build_shipments

ENGINE_VARIABLE = "PRACTICUM_E2E_ENGINE"
"""``vllm`` has the tests serve SmolLM2 with vLLM in place of the fake engine; that needs minutes more."""
_FAKE_IMAGE = "localhost/practicum-fake-serve:dev"
_STAND = Path(__file__).parent


def uses_vllm():
    return os.environ.get(ENGINE_VARIABLE) == "vllm"


def install_serving(school):
    """Bring the images of gateway and engine to the node, and let Practicum use them."""
    school.cluster.ship(*build_shipments(["gateway"]))
    if uses_vllm():
        school.cluster.ship(*build_shipments(["serve"]))
        return
    package = "/opt/practicum/src"
    fakes = {path: f"{package}/{path.name}" for path in _STAND.glob("fake_*.py")}
    place = f"{package}/practicum_jobs/adapters/vllm_server.py"
    school.cluster.ship(derive_image("train", _FAKE_IMAGE, fakes | {_STAND / "fake_serve/vllm_server.py": place}))
    school.install("--set", f"images.names.serve={_FAKE_IMAGE}")


def make_key(school, student, folder):
    """Make a key for a student's gateways by the command, and return it."""
    made = school.practicum(folder, "key", "make", student, "--namespace", student)
    assert made.returncode == 0, made.stderr
    return made.stdout.strip()


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


def ask(school, student, name, url, secret=None, timeout_s=60):
    """Ask for a completion from a pod of a student; return status and body, status 0 where nothing was reached."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    where = urllib.parse.urljoin(url, "/v1/chat/completions")
    school.run_pod(student, name, _ASK.format(url=where, headers=headers, body=QUESTION, timeout_s=timeout_s))
    try:
        return school.read_answer(student, name)
    finally:
        school.client.kubectl("delete", "pod", name, "--namespace", student, "--grace-period=0", "--force")
