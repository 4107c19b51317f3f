"""Keys of the gateway: made, revoked, and kept in a file as hashes.

A key is 256 random bits, so a plain SHA-256 cannot be searched back; slow hashes protect passwords that people choose.
"""

from __future__ import annotations

import datetime as dt
import hashlib
import json
import secrets
from collections.abc import Callable
from pathlib import Path

from pydantic import AwareDatetime, BaseModel, ConfigDict, Field, ValidationError

from practicum_core.atomic import explain_os_errors, write_json_atomic
from practicum_core.errors import ConfigError, DataError, PlatformError, Reason
from practicum_core.file_lock import lock_within

KEY_FILE = "gateway-keys.json"
"""Name of the file of keys in the folder of all runs, and in the ConfigMap of a student on a cluster."""
KEYS_CONFIG_MAP = "practicum-gateway-keys"
"""ConfigMap of a student's keys. It is no secret: it holds hashes of 256 random bits."""
KEYS_VARIABLE = "PRACTICUM_GATEWAY_KEYS"
"""File of keys that a gateway reads where the folder of all runs is not the place, told by whoever starts it."""
_PREFIX = "sk-practicum-"
_LOCK_TIMEOUT_S = 10.0


class KeyLimits(BaseModel):
    """What a key may use. ``None`` stands for no limit."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    tokens_per_minute: int | None = Field(default=None, ge=1, description="Tokens of prompts and answers.")
    requests_per_minute: int | None = Field(default=None, ge=1)
    concurrent_requests: int | None = Field(default=None, ge=1, description="Requests at the same time, streams too.")
    priority: int = Field(default=5, ge=0, le=9, description="0 comes first when requests wait.")


class ApiKey(BaseModel):
    """What is kept of a key."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str = Field(description="Begins the key and names it in lists, logs and metrics.")
    owner: str = Field(description="Whose it is.")
    sha256: str = Field(description="Of the whole key.")
    created_at: str = Field(description="ISO 8601, UTC.")
    revoked_at: str | None = Field(default=None, description="ISO 8601, UTC; absent while it is valid.")
    ends_at: AwareDatetime | None = Field(
        default=None, description="Not valid from then on; absent for a key that is valid until it is revoked."
    )
    limits: KeyLimits = Field(default_factory=KeyLimits)


class KeyFile(BaseModel):
    """All keys of one gateway, revoked ones too."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    keys: tuple[ApiKey, ...] = ()

    def add(self, key: ApiKey) -> KeyFile:
        """Return the file with one key more."""
        return KeyFile(keys=(*self.keys, key))

    def revoke(self, key_id: str, now: str) -> KeyFile:
        """Return the file with a key revoked.

        Raises:
            ConfigError: There is no such key, or it was revoked before.
        """
        found = next((key for key in self.keys if key.id == key_id), None)
        if found is None:
            raise ConfigError(f"no key has the id '{key_id}'", "`practicum key list` shows the keys")
        if found.revoked_at is not None:
            raise ConfigError(f"key '{key_id}' was revoked at {found.revoked_at}", "nothing is left to do")
        revoked = found.model_copy(update={"revoked_at": now})
        return KeyFile(keys=tuple(revoked if key is found else key for key in self.keys))

    def restore(self, key_id: str) -> KeyFile:
        """Return the file with a key valid again; the file as it is where the key is not there."""
        keys = (key.model_copy(update={"revoked_at": None}) if key.id == key_id else key for key in self.keys)
        return KeyFile(keys=tuple(keys))

    def extend(self, key_id: str, ends_at: dt.datetime) -> KeyFile:
        """Return the file with a later end of a key; the file as it is where the key is not there."""
        keys = (key.model_copy(update={"ends_at": ends_at}) if key.id == key_id else key for key in self.keys)
        return KeyFile(keys=tuple(keys))

    def revoke_if_valid(self, key_id: str, now: str) -> KeyFile:
        """Return the file with a key revoked; the file as it is where the key was revoked before, or is not there."""
        is_valid = any(key.id == key_id and key.revoked_at is None for key in self.keys)
        return self.revoke(key_id, now) if is_valid else self


def make_key(owner: str, limits: KeyLimits, now: str) -> tuple[str, ApiKey]:
    """Make a key.

    Returns:
        The key, which is shown once, and what is kept of it.
    """
    key_id = secrets.token_hex(4)
    secret = f"{_PREFIX}{key_id}-{secrets.token_urlsafe(32)}"
    return secret, ApiKey(id=key_id, owner=owner, sha256=hash_key(secret), created_at=now, limits=limits)


def get_key_id(secret: str) -> str:
    """Return the id in a key; empty where it is none of a gateway.

    >>> get_key_id("sk-practicum-0a1b2c3d-x-y"), get_key_id("other")
    ('0a1b2c3d', '')
    """
    return secret.removeprefix(_PREFIX).partition("-")[0] if secret.startswith(_PREFIX) else ""


def hash_key(secret: str) -> str:
    """Return what is kept of a key.

    >>> hash_key("sk-practicum-0")[:12]
    '9e1363b70ee9'
    """
    return hashlib.sha256(secret.encode(errors="surrogateescape")).hexdigest()


def read_key_file(path: Path) -> KeyFile:
    """Read the keys; none where the file does not exist.

    Raises:
        DataError: The file is broken.
    """
    try:
        text = path.read_text(encoding="utf-8")
    except FileNotFoundError:
        return KeyFile()
    except (OSError, UnicodeDecodeError) as error:
        raise DataError(f"{path}: {error}", "repair the file of keys, or move it away") from error
    return parse_key_file(text, str(path))


def parse_key_file(text: str, where: str) -> KeyFile:
    """Read keys from the text of a file; ``where`` names it in an error.

    Raises:
        DataError: The text is broken.
    """
    try:
        return KeyFile.model_validate(json.loads(text))
    except (ValueError, ValidationError) as error:
        problem = str(error).splitlines()[0]
        raise DataError(f"{where}: no file of keys ({problem})", "repair the file of keys, or move it away") from error


def change_key_file(path: Path, change: Callable[[KeyFile], KeyFile]) -> None:
    """Change the keys and write them atomically. Two commands at the same time change them one after the other.

    Raises:
        ConfigError: What the change raises.
        DataError: The file is broken.
        PlatformError: It cannot be written.
    """
    lock = path.with_name(f".{path.name}.lock")
    with explain_os_errors(lock):
        lock.parent.mkdir(parents=True, exist_ok=True)
        held = lock.open("ab")
    with held:
        if not lock_within(held.fileno(), _LOCK_TIMEOUT_S):
            raise PlatformError(Reason.RUN_BUSY, f"{path}: another command changes the keys", "try again")
        # Without what is absent: a gateway of an earlier version refuses a file with fields that it does not know.
        write_json_atomic(path, change(read_key_file(path)).model_dump(mode="json", exclude_none=True))
