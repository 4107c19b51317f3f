"""Model URIs and what they mean. Pure: reads text, touches no file and no network."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import Literal, cast

from practicum_core.errors import ConfigError, Reason, suggest_similar

Scheme = Literal["builtin", "hf", "file", "s3"]
SCHEMES: tuple[Scheme, ...] = ("builtin", "hf", "file", "s3")
FORMS = "builtin:NAME, hf://OWNER/NAME[@REVISION], file:///FOLDER, s3://BUCKET/FOLDER"

_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):")
_HUB_NAME = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*")
_REVISION = re.compile(r"[\w][\w./-]*")


@dataclass(frozen=True)
class ModelUri:
    """A parsed model URI.

    Attributes:
        scheme: Where the files come from.
        name: Built-in name, ``OWNER/NAME`` on the hub, absolute folder, or ``BUCKET/FOLDER``.
        revision: Branch, tag or commit on the hub; empty where none was named.
    """

    scheme: Scheme
    name: str
    revision: str = ""


def parse_model_uri(text: str) -> ModelUri:
    """Parse a model URI; an absolute path stands for its ``file://`` URI.

    Raises:
        ConfigError: The text has none of the known forms.

    >>> parse_model_uri("hf://Qwen/Qwen2.5-0.5B-Instruct@main")
    ModelUri(scheme='hf', name='Qwen/Qwen2.5-0.5B-Instruct', revision='main')
    >>> parse_model_uri("file:///data/model").name
    '/data/model'
    """
    if text.startswith("/"):
        return ModelUri("file", text)
    match = _SCHEME.match(text)
    scheme = match[1].lower() if match else ""
    if scheme == "pvc":
        raise ConfigError(f"model {text!r}: pvc:// names a volume of a cluster", "on this machine give file:///FOLDER")
    if scheme not in SCHEMES:
        hint = suggest_similar(scheme, SCHEMES) if scheme else ""
        raise ConfigError(f"model {text!r}: not a model URI{hint}", f"give one of: {FORMS}", Reason.MODEL_MISSING)
    rest = text[len(scheme) + 1 :]
    if scheme == "builtin":
        return ModelUri("builtin", rest.removeprefix("//"))
    if not rest.startswith("//"):
        raise ConfigError(f"model {text!r}: '//' is missing after '{scheme}:'", f"give one of: {FORMS}")
    return _parse_location(text, cast("Scheme", scheme), rest.removeprefix("//"))


def _parse_location(text: str, scheme: Scheme, location: str) -> ModelUri:
    if scheme == "hf":
        name, at, revision = location.partition("@")
        if not _HUB_NAME.fullmatch(name) or (at and not _REVISION.fullmatch(revision)):
            raise ConfigError(f"model {text!r}: not of the form hf://OWNER/NAME[@REVISION]", "correct the name")
        return ModelUri("hf", name, revision)
    if scheme == "file" and not location.startswith("/"):
        raise ConfigError(f"model {text!r}: a file URI needs an absolute path", f"give file:///{location} or similar")
    bucket, _, folder = location.partition("/")
    if scheme == "s3" and not (bucket and folder):
        raise ConfigError(f"model {text!r}: not of the form s3://BUCKET/FOLDER", "name the bucket and the folder")
    return ModelUri(scheme, location)
