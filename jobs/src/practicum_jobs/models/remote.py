"""Model files from elsewhere: a model hub, or any store that fsspec reads.

Fetches data only: weights as safetensors, configuration, tokenizer. Code and pickled weights are never fetched.
"""

from __future__ import annotations

from pathlib import Path

from practicum_core.errors import ConfigError, PlatformError, PracticumError, Reason
from practicum_jobs.storage.stores import Wanted, copy_from_store, describe_error

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
            f"{uri}: the hub knows no such model or revision ({describe_error(error)})",
            "check owner, name and revision; for a private model set HF_TOKEN",
            Reason.MODEL_MISSING,
        )
    endpoint = _get_endpoint()
    return PlatformError(
        Reason.UPSTREAM_UNAVAILABLE,
        f"{uri}: neither in the local hub cache nor to be had from {endpoint} ({describe_error(error)})",
        "check the network, set HF_ENDPOINT to a mirror, or name a folder on this machine: file:///FOLDER",
    )


def _get_endpoint() -> str:
    from huggingface_hub import constants  # noqa: PLC0415 - as above

    return str(constants.ENDPOINT)


def fetch_with_fsspec(uri: str, cache_dir: Path) -> tuple[Path, str]:
    """Copy a model's folder from a store into the cache and return its place and a key of the listing.

    Raises:
        ConfigError: The store's package is missing, or nothing lies there.
        PlatformError: The store did not answer.
    """
    wanted = Wanted(
        lambda name: name.endswith(WANTED_SUFFIXES),
        lambda detail, fix: ConfigError(detail, fix, Reason.MODEL_MISSING),
        ("no model files lie there", "name the folder that holds config.json"),
        max_depth=1,
    )
    folder, key = copy_from_store(uri, cache_dir / "models", wanted)
    return folder, f"listing:{key}"
