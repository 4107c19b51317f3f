"""Images of a single static program: one layer, no shell, and a user that is not root.

They are written as archives in Docker's format, which containerd and kind import. `make images` builds images that
contain an operating system.
"""

from __future__ import annotations

import hashlib
import io
import json
import tarfile
from pathlib import Path

from practicum_cluster.layout import get_cache

REGISTRY = "localhost"
_USER = "65532:65532"


def ensure_archive(name: str, tag: str, program: Path, entrypoint: str) -> Path:
    """Return the archive of an image of one program. It is built again if the program has changed.

    Args:
        name: Name of the image, without registry.
        tag: Tag of the image.
        program: The static program.
        entrypoint: Path of the program in the image.
    """
    status = program.stat()
    made_of = (program, status.st_size, status.st_mtime_ns, entrypoint, tag)
    key = hashlib.sha256(repr(made_of).encode()).hexdigest()[:12]
    path = get_cache() / "images" / f"{name}-{key}.tar"
    if not path.exists():
        path.parent.mkdir(parents=True, exist_ok=True)
        partial = path.with_suffix(".partial")
        partial.write_bytes(_build_archive(f"{REGISTRY}/{name}:{tag}", _build_layer(program, entrypoint), entrypoint))
        partial.replace(path)
    return path


def _build_layer(program: Path, entrypoint: str) -> bytes:
    return _pack({entrypoint.lstrip("/"): (program.read_bytes(), 0o755)}, folders=("tmp",))


def _build_archive(reference: str, layer: bytes, entrypoint: str) -> bytes:
    digest = hashlib.sha256(layer).hexdigest()
    config = json.dumps(
        {
            "architecture": "amd64",
            "os": "linux",
            "config": {"Entrypoint": [entrypoint], "User": _USER, "WorkingDir": "/"},
            "rootfs": {"type": "layers", "diff_ids": [f"sha256:{digest}"]},
            "history": [{"created_by": "practicum"}],
        }
    ).encode()
    name = hashlib.sha256(config).hexdigest()
    manifest = [{"Config": f"{name}.json", "RepoTags": [reference], "Layers": [f"{digest}/layer.tar"]}]
    return _pack(
        {
            f"{name}.json": (config, 0o644),
            f"{digest}/layer.tar": (layer, 0o644),
            "manifest.json": (json.dumps(manifest).encode(), 0o644),
        }
    )


def _pack(files: dict[str, tuple[bytes, int]], folders: tuple[str, ...] = ()) -> bytes:
    buffer = io.BytesIO()
    with tarfile.open(fileobj=buffer, mode="w") as archive:
        for name in folders:
            folder = tarfile.TarInfo(name)
            folder.type, folder.mode = tarfile.DIRTYPE, 0o1777
            archive.addfile(folder)
        for name, (content, mode) in files.items():
            add_file(archive, name, content, mode)
    return buffer.getvalue()


def add_file(archive: tarfile.TarFile, name: str, content: bytes, mode: int = 0o644) -> None:
    """Add a file to an archive, with fixed owner and time so that equal content gives equal bytes."""
    info = tarfile.TarInfo(name)
    info.size, info.mode = len(content), mode
    archive.addfile(info, io.BytesIO(content))
