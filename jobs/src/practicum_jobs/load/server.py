"""The server that requests go to: its key, whether it answers, and with which model."""

from __future__ import annotations

import contextlib
import datetime as dt
import logging
import os
import threading
import time
from collections.abc import Iterator
from pathlib import Path

import httpx

from practicum_core.api_keys import KEY_FILE, KeyLimits, change_key_file, make_key
from practicum_core.errors import ConfigError, PlatformError, PracticumError, Reason, suggest_similar
from practicum_core.stages.server_access import ServerAccessConfig
from practicum_jobs.context import StageContext

_TIMEOUT_S = 30.0
_KEY_WAIT_S = 15.0
_KEY_PERIOD_S = 0.2
_KEY_VALID = dt.timedelta(hours=1)
"""How long a key stays valid whose step was killed, and so could not revoke it."""
_EXTEND_S = 600.0
"""A step that runs gives its key that time anew, so often that a file which was locked once costs it nothing."""
_SHOWN = 300
_REFUSED_KEY = frozenset({401, 403})
_KEY_FIX = (
    "name the environment variable that holds a key (key_variable, --key-variable), or a file with it "
    "(key_file, --key-file); `practicum key make` makes a key"
)
_LOG = logging.getLogger(__name__)


def split_address(url: str) -> tuple[str, str]:
    """Return the address of the server and that of its API.

    >>> split_address("http://127.0.0.1:8000/v1"), split_address("http://127.0.0.1:8000/")
    (('http://127.0.0.1:8000', 'http://127.0.0.1:8000/v1'), ('http://127.0.0.1:8000', 'http://127.0.0.1:8000/v1'))
    """
    root = url.rstrip("/").removesuffix("/v1")
    return root, f"{root}/v1"


@contextlib.contextmanager
def hold_key(config: ServerAccessConfig, ctx: StageContext, limits: KeyLimits) -> Iterator[str]:
    """Give the key of the requests, empty for none. One that is made for them is revoked at the end.

    Where the step is killed, it ends by itself within an hour.

    Args:
        config: Whose key.
        ctx: Of the stage.
        limits: Of a key that is made.

    Raises:
        ConfigError: The variable or the file holds no key.
    """
    if not config.own_key:
        yield _read_key(config)
        return
    secret, made = make_key(f"{ctx.step} {ctx.run.root.name}", limits, _now())
    key = made.model_copy(update={"ends_at": _find_end()})
    path = ctx.experiments / KEY_FILE
    change_key_file(path, lambda file: file.add(key))
    is_over = threading.Event()
    extending = threading.Thread(target=_extend, args=(path, key.id, is_over), name="key", daemon=True)
    extending.start()
    try:
        yield secret
    finally:
        is_over.set()
        extending.join()
        change_key_file(path, lambda file: file.revoke_if_valid(key.id, _now()))


def _extend(path: Path, key_id: str, is_over: threading.Event) -> None:
    while not is_over.wait(_EXTEND_S):
        try:
            change_key_file(path, lambda file: file.extend(key_id, _find_end()))
        except PracticumError as error:
            _LOG.warning("the key of the requests was not extended: %s", error)


def _find_end() -> dt.datetime:
    return dt.datetime.now(dt.UTC) + _KEY_VALID


def find_model(url: str, config: ServerAccessConfig, key: str) -> str:
    """Ask a server for its models, and return the one that is asked.

    Args:
        url: With or without /v1.
        config: Which model, and whether the key was made a moment ago.
        key: Of the requests; empty for none.

    Raises:
        PlatformError: Nothing answers at the address.
        ConfigError: It refuses the key, is no server of OpenAI's API, or serves no such model.
    """
    _, api = split_address(url)
    headers = {"Authorization": f"Bearer {key}"} if key else {}
    deadline_s = time.monotonic() + (_KEY_WAIT_S if config.own_key else 0.0)
    with httpx.Client(timeout=_TIMEOUT_S, headers=headers, trust_env=False) as client:
        answer = _ask(client, f"{api}/models")
        while answer.status_code in _REFUSED_KEY and time.monotonic() < deadline_s:
            time.sleep(_KEY_PERIOD_S)
            answer = _ask(client, f"{api}/models")
    if answer.status_code in _REFUSED_KEY:
        said = "refuses the key" if key else "asks for a key"
        raise ConfigError(f"{api}: the server {said} ({answer.status_code})", _KEY_FIX)
    return _find_model(config.served_model, _read_models(api, answer), api)


def _read_key(config: ServerAccessConfig) -> str:
    if config.key_variable is not None:
        key = os.environ.get(config.key_variable, "").strip()
        if not key:
            raise ConfigError(
                f"the environment variable {config.key_variable} holds no key", "set it to a key before the run"
            )
        return key
    if config.key_file is None:
        return ""
    try:
        key = Path(config.key_file).read_text(encoding="utf-8").strip()
    except (OSError, UnicodeDecodeError) as error:
        why = getattr(error, "strerror", None) or str(error)
        raise ConfigError(f"{config.key_file}: {why}", "name a file that holds a key") from error
    if not key or len(key.splitlines()) != 1:
        raise ConfigError(f"{config.key_file}: expected one line with a key", "name a file that holds a key")
    return key


def _ask(client: httpx.Client, url: str) -> httpx.Response:
    try:
        return client.get(url)
    except httpx.HTTPError as error:
        raise explain_silence(url, error) from error


def explain_silence(url: str, error: httpx.HTTPError) -> PlatformError:
    """Build the error of a server that does not answer."""
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{url}: no answer ({str(error) or type(error).__name__})",
        "start the server (practicum serve MODEL), or correct the address",
    )


def _read_models(api: str, answer: httpx.Response) -> list[str]:
    try:
        return [str(one["id"]) for one in answer.json()["data"]]
    except (ValueError, RecursionError, LookupError, TypeError) as error:
        shown = " ".join(answer.text[:_SHOWN].split())
        raise ConfigError(
            f"{api}/models: no list of models, but {answer.status_code}: {shown!r}",
            "give the address of a server that speaks OpenAI's API, with or without /v1",
        ) from error


def _find_model(name: str, served: list[str], api: str) -> str:
    if not served:
        raise ConfigError(f"{api}: the server serves no model", "wait until a model is loaded there")
    if name and name not in served:
        raise ConfigError(
            f"{api}: serves no model '{name}'{suggest_similar(name, served)}", f"it serves {', '.join(served)[:_SHOWN]}"
        )
    return name or served[0]


def _now() -> str:
    return dt.datetime.now(dt.UTC).isoformat(timespec="seconds")
