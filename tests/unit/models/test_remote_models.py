from __future__ import annotations

import hashlib
import http.server
import json
import sys
import threading

import fsspec
import pytest
from huggingface_hub import constants

from practicum_core.errors import EXIT_TRY_AGAIN, ConfigError, PlatformError, Reason
from practicum_jobs.models.remote import fetch_from_hub, fetch_with_fsspec

COMMIT = "0123456789abcdef0123456789abcdef01234567"
FILES = {"config.json": b"{}", "model.safetensors": b"weights", "modeling.py": b"code", "original/params.json": b"{}"}


class Hub(http.server.BaseHTTPRequestHandler):
    """The part of the hub's HTTP interface that a download of one model uses."""

    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        if "/secret/" in self.path:
            self.reply(403, b"", {"X-Error-Code": "GatedRepo"})
        elif self.path.startswith("/api/models/owner/model/tree"):
            entries = [
                {"type": "file", "path": name, "oid": hashlib.sha256(content).hexdigest()[:40], "size": len(content)}
                for name, content in FILES.items()
            ]
            self.reply(200, json.dumps(entries).encode(), {"Content-Type": "application/json"})
        elif self.path.startswith("/api/models/owner/model/revision/main"):
            siblings = [{"rfilename": name, "size": len(content)} for name, content in FILES.items()]
            document = {"id": "owner/model", "_id": "1", "sha": COMMIT, "siblings": siblings, "private": False}
            self.reply(200, json.dumps(document).encode(), {"Content-Type": "application/json"})
        elif self.path.removeprefix(f"/owner/model/resolve/{COMMIT}/") in FILES:
            content = FILES[self.path.removeprefix(f"/owner/model/resolve/{COMMIT}/")]
            etag = hashlib.sha256(content).hexdigest()
            self.reply(200, content, {"ETag": f'"{etag}"', "X-Repo-Commit": COMMIT})
        elif "/revision/" in self.path and "/owner/model/" in self.path:
            self.reply(404, b"", {"X-Error-Code": "RevisionNotFound"})
        else:
            self.reply(404, b"", {"X-Error-Code": "RepoNotFound"})

    def reply(self, status, content, headers):
        self.send_response(status)
        for name, value in {**headers, "Content-Length": str(len(content))}.items():
            self.send_header(name, value)
        self.end_headers()
        if self.command == "GET":
            self.wfile.write(content)

    def log_message(self, *_args):
        """Say nothing."""


@pytest.fixture
def use_hub(tmp_path, monkeypatch):
    def use(endpoint):
        monkeypatch.setattr(constants, "ENDPOINT", endpoint)
        template = endpoint + "/{repo_id}/resolve/{revision}/{filename}"
        monkeypatch.setattr(constants, "HUGGINGFACE_CO_URL_TEMPLATE", template)
        monkeypatch.setattr(constants, "HF_HUB_CACHE", str(tmp_path / "hub"))
        monkeypatch.setattr(constants, "HF_HUB_DISABLE_XET", True)

    return use


@pytest.fixture
def hub(use_hub):
    with http.server.ThreadingHTTPServer(("127.0.0.1", 0), Hub) as server:
        thread = threading.Thread(target=server.serve_forever, daemon=True)
        thread.start()
        use_hub(f"http://127.0.0.1:{server.server_port}")
        yield server
        server.shutdown()
        thread.join()


def test_a_model_comes_from_the_hub_without_its_code_and_stays_when_the_hub_goes(hub, use_hub):
    folder, commit = fetch_from_hub("owner/model", "")
    assert commit == COMMIT
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert (folder / "model.safetensors").read_bytes() == b"weights"
    use_hub("http://127.0.0.1:9")
    assert fetch_from_hub("owner/model", "") == (folder, commit)


@pytest.mark.parametrize(
    ("name", "revision", "message"),
    [
        ("owner/other", "", "knows no such model or revision"),
        ("owner/model", "v9", "knows no such model or revision"),
        ("owner/secret", "", "access is not granted"),
    ],
)
def test_what_the_hub_refuses_is_the_users_to_mend(hub, name, revision, message):
    with pytest.raises(ConfigError, match=message) as caught:
        fetch_from_hub(name, revision)
    assert caught.value.reason is Reason.MODEL_MISSING
    assert caught.value.fix


def test_no_hub_is_said_with_what_was_tried(use_hub):
    use_hub("http://127.0.0.1:9")  # nothing listens there
    with pytest.raises(PlatformError, match=r"hf://owner/name@v1: neither in the local hub cache") as caught:
        fetch_from_hub("owner/name", "v1")
    assert caught.value.reason is Reason.UPSTREAM_UNAVAILABLE
    assert caught.value.exit_code == EXIT_TRY_AGAIN
    assert "127.0.0.1:9" in caught.value.detail
    assert "HF_ENDPOINT" in caught.value.fix


@pytest.fixture
def store():
    """A bucket in this process's memory: the same fsspec calls as for s3, without a server."""
    filesystem = fsspec.filesystem("memory")
    filesystem.store.clear()
    for name, content in {
        "config.json": b"{}",
        "model.safetensors": b"w1",
        "train.py": b"code",
        "sub/x.json": b"",
    }.items():
        filesystem.pipe_file(f"/bucket/m/{name}", content)
    yield filesystem
    filesystem.store.clear()


def test_a_store_is_copied_once_without_code(store, tmp_path):
    folder, revision = fetch_with_fsspec("memory://bucket/m", tmp_path)
    assert sorted(file.name for file in folder.iterdir()) == ["config.json", "model.safetensors"]
    assert revision.startswith("listing:")
    assert fetch_with_fsspec("memory://bucket/m", tmp_path) == (folder, revision)


def test_a_changed_store_is_copied_anew(store, tmp_path):
    folder, _ = fetch_with_fsspec("memory://bucket/m", tmp_path)
    store.pipe_file("/bucket/m/model.safetensors", b"w-two")
    again, _ = fetch_with_fsspec("memory://bucket/m", tmp_path)
    assert again != folder
    assert (again / "model.safetensors").read_bytes() == b"w-two"


def test_a_store_that_breaks_in_mid_copy_leaves_nothing(store, tmp_path, monkeypatch):
    def break_off(path, target):
        raise TimeoutError("timed out")

    monkeypatch.setattr(store, "get_file", break_off)
    with pytest.raises(PlatformError, match="TimeoutError: timed out"):
        fetch_with_fsspec("memory://bucket/m", tmp_path)
    assert [file for file in (tmp_path / "models").iterdir() if file.is_dir()] == []


def test_an_empty_place_in_a_store_is_named(store, tmp_path):
    with pytest.raises(ConfigError, match="no model files lie there"):
        fetch_with_fsspec("memory://bucket/other", tmp_path)


def test_a_store_whose_package_is_missing_says_how_to_add_it(tmp_path, monkeypatch):
    monkeypatch.setitem(sys.modules, "s3fs", None)  # as in an environment that lacks it
    # fsspec remembers a client that another test of this process used.
    monkeypatch.delitem(sys.modules["fsspec.registry"]._registry, "s3", raising=False)
    with pytest.raises(ConfigError, match="package that reads this store is not installed") as caught:
        fetch_with_fsspec("s3://bucket/m", tmp_path)
    assert "set up the environment again" in caught.value.fix
