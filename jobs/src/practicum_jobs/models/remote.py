"""Decides how model files are fetched from elsewhere: a model hub, or any store that fsspec reads.

Fetches data only: weights as safetensors, configuration, tokenizer. Code and pickled weights are never fetched.
"""

from __future__ import annotations

import hashlib
import json
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, PlatformError, PracticumError, Reason
from practicum_jobs.models.onceonly import ensure_folder

WANTED_SUFFIXES = (".json", ".safetensors", ".jinja", ".model", ".txt")
UNWANTED = ("original/*", "consolidated*", "onnx/*")


def fetch_from_hub(name: str, revision: str) -> tuple[Path, str]:
    """Download a model's files from the Hugging Face hub into its own cache (``HF_HOME``) and return folder and commit.

    Files that are in that cache already are used when the hub cannot be reached.

    Raises:
        ConfigError: No such model or revision, or it needs a permission that was not given.
        PlatformError: The hub did not answer.
    """
    import huggingface_hub  # noqa: PLC0415 - half a second, for hf:// only

    try:
        folder = huggingface_hub.snapshot_download(
            name,
            revision=revision or None,
            allow_patterns=[f"*{suffix}" for suffix in WANTED_SUFFIXES],
            ignore_patterns=list(UNWANTED),
        )
    except Exception as error:
        raise _explain_hub_error(name, revision, error) from error
    return Path(folder), Path(folder).name


def _explain_hub_error(name: str, revision: str, error: Exception) -> PracticumError:
    from huggingface_hub import errors  # noqa: PLC0415 - as above

    uri = f"hf://{name}" + (f"@{revision}" if revision else "")
    if isinstance(error, errors.GatedRepoError):
        return ConfigError(f"{uri}: access is not granted", "accept its terms and set HF_TOKEN", Reason.MODEL_MISSING)
    if isinstance(error, (errors.RepositoryNotFoundError, errors.RevisionNotFoundError, errors.HFValidationError)):
        return ConfigError(
            f"{uri}: the hub knows no such model or revision ({_first_line(error)})",
            "check owner, name and revision; for a private model set HF_TOKEN",
            Reason.MODEL_MISSING,
        )
    endpoint = _get_endpoint()
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{uri}: neither in the local hub cache nor to be had from {endpoint} ({_first_line(error)})",
        "check the network, set HF_ENDPOINT to a mirror, or name a folder on this machine: file:///FOLDER",
    )


def _get_endpoint() -> str:
    from huggingface_hub import constants  # noqa: PLC0415 - as above

    return str(constants.ENDPOINT)


def _first_line(error: Exception) -> str:
    lines = [line.strip() for line in str(error).splitlines() if line.strip()]
    return f"{type(error).__name__}: {lines[0]}" if lines else type(error).__name__


def fetch_with_fsspec(uri: str, cache_dir: Path) -> tuple[Path, str]:
    """Copy a folder from a store into the cache and return its place and a key of the listing.

    The key covers names, sizes and the store's own checksums, so that a changed folder is fetched again.

    Raises:
        ConfigError: The store's package is missing, or nothing lies there.
        PlatformError: The store did not answer.
    """
    import fsspec  # noqa: PLC0415 - for stores only

    try:
        filesystem, root = fsspec.core.url_to_fs(uri)
        entries = _list_wanted(filesystem, root)
    except ImportError as error:
        raise ConfigError(
            f"{uri}: the package that reads this store is missing ({error})",
            "add s3fs to requirements/train.in and base.in and run `make locks`, or copy the folder and give file:///",
        ) from error
    except FileNotFoundError as error:
        raise _nothing_there(uri) from error
    except Exception as error:
        raise _explain_store_error(uri, error) from error
    if not entries:
        raise _nothing_there(uri)
    listing = [[entry["name"], entry["size"], str(entry.get("ETag", ""))] for entry in entries]
    key = hashlib.sha256(json.dumps([uri, listing]).encode()).hexdigest()[:12]

    def copy(folder: Path) -> None:
        for entry in entries:
            try:
                filesystem.get_file(entry["name"], str(folder / Path(entry["name"]).name))
            except Exception as error:
                raise _explain_store_error(uri, error) from error

    folder = cache_dir / "models" / f"{uri.partition(':')[0]}-{key}"
    ensure_folder(folder, copy, needed_bytes=sum(entry["size"] for entry in entries))
    return folder, f"listing:{key}"


def _list_wanted(filesystem: Any, root: str) -> list[dict[str, Any]]:  # noqa: ANN401 - fsspec publishes no types
    entries = filesystem.ls(root, detail=True)
    wanted = (entry for entry in entries if entry["type"] == "file" and entry["name"].endswith(WANTED_SUFFIXES))
    return sorted(wanted, key=lambda entry: str(entry["name"]))


def _nothing_there(uri: str) -> ConfigError:
    return ConfigError(
        f"{uri}: no model files lie there", "name the folder that holds config.json", Reason.MODEL_MISSING
    )


def _explain_store_error(uri: str, error: Exception) -> PracticumError:
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{uri}: could not be read ({_first_line(error)})",
        "check the network, the bucket's name and the credentials (AWS_ACCESS_KEY_ID, AWS_ENDPOINT_URL)",
    )
