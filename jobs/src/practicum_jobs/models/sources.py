"""Models and adapters by their URI: each becomes one local folder that every stage can load."""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path

from practicum_core.stages.model import ModelLock
from practicum_jobs.models.adapters import AdapterFiles, read_adapter
from practicum_jobs.models.builtin import ensure_builtin
from practicum_jobs.models.folder import build_model_lock, check_model_folder
from practicum_jobs.models.remote import fetch_from_hub, fetch_with_fsspec
from practicum_jobs.models.uris import parse_model_uri


@dataclass(frozen=True)
class ModelFiles:
    """A model on this machine.

    Attributes:
        uri: As it was asked for.
        path: Folder with config.json, safetensors, tokenizer.json and a chat template.
        revision: Which version came: a commit, a hash, or empty for a plain folder.
    """

    uri: str
    path: Path
    revision: str = ""

    def build_lock(self) -> ModelLock:
        """Hash the files and describe the model."""
        return build_model_lock(self.path, self.uri, self.revision)


def ensure_model(uri: str, cache_dir: Path, *, has_weights: bool = True) -> ModelFiles:
    """Bring the model that ``uri`` names to this machine and return its files; a second call finds them there.

    Args:
        uri: Where the model lies.
        cache_dir: Where what is fetched or converted is kept.
        has_weights: Whether the weights will be loaded, and so are checked.

    Raises:
        ConfigError: The URI is malformed, or what it names does not exist, is cut off, or is no chat model.
        PlatformError: A hub or store did not answer, or the disk refused.
    """
    path, revision = _fetch(uri, cache_dir)
    check_model_folder(path, uri, has_weights=has_weights)
    return ModelFiles(uri, path, revision)


def ensure_adapter(uri: str, cache_dir: Path) -> AdapterFiles:
    """Bring the adapter that ``uri`` names to this machine and read what its files say.

    Raises:
        ConfigError: The URI is malformed, or what it names does not exist, is cut off, or is no adapter.
        PlatformError: A hub or store did not answer.
    """
    return read_adapter(_fetch(uri, cache_dir)[0], uri)


def _fetch(uri: str, cache_dir: Path) -> tuple[Path, str]:
    """Return the folder of a URI's files on this machine, and their revision."""
    parsed = parse_model_uri(uri)
    match parsed.scheme:
        case "builtin":
            return ensure_builtin(parsed.name, cache_dir)
        case "hf":
            return fetch_from_hub(parsed.name, parsed.revision)
        case "s3":
            return fetch_with_fsspec(uri, cache_dir)
        case "file":
            return Path(parsed.name), ""
