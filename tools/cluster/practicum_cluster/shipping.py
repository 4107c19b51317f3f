"""Copying of images to the node without the layers that the node already has.

An image with a training environment has gigabytes, and a change of the project's code changes some hundred kilobytes
of it. Therefore the archive (an OCI image layout) lists more layers than it contains; containerd finds the others in
its own store. Layers are read from the folders of buildah's storage and written uncompressed, because compressing them
would take minutes. Source: OCI image specification, "image-layout" and "layer".
"""

from __future__ import annotations

import hashlib
import json
import os
import stat
import subprocess
import tarfile
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import IO, Any, cast

from practicum_cluster.images import REGISTRY, add_file
from practicum_cluster.layout import TOOLS, get_cache

JSON = dict[str, Any]
_ENGINE = TOOLS.parent / "images/engine.sh"
_OCI = "application/vnd.oci.image"
_BUFFER = 1 << 20


@dataclass(frozen=True)
class Layer:
    """A layer of an image."""

    folder: Path
    """Folder of the unpacked layer in buildah's storage."""
    digest: str
    size: int


@dataclass(frozen=True)
class Shipment:
    """An image to copy to a node."""

    reference: str
    """Reference of the image in pods."""
    config: JSON
    layers: Sequence[Layer]

    def write(self, target: IO[bytes], held: frozenset[str]) -> None:
        """Write the archive, except the layers whose digests are in ``held``."""
        config = json.dumps(self.config).encode()
        manifest = json.dumps(self._build_manifest(config)).encode()
        index = json.dumps(self._build_index(manifest)).encode()
        with tarfile.open(fileobj=target, mode="w|", bufsize=_BUFFER) as archive:
            for content in (config, manifest):
                add_file(archive, _get_path(_hash(content)), content)
            for layer in self.layers:
                if layer.digest in held:
                    continue
                # The tar header needs the size first, so the layer is packed again into the outer archive.
                info = tarfile.TarInfo(_get_path(layer.digest))
                info.size = layer.size
                archive.addfile(info)
                if archive.fileobj is None:
                    raise RuntimeError("the archive is closed")
                counter = _Meter(archive.fileobj)
                write_layer(layer.folder, counter)
                padding = -counter.size % tarfile.BLOCKSIZE
                archive.fileobj.write(bytes(padding))
                archive.offset += counter.size + padding
            add_file(archive, "oci-layout", json.dumps({"imageLayoutVersion": "1.0.0"}).encode())
            add_file(archive, "index.json", index)

    def _build_manifest(self, config: bytes) -> JSON:
        layers = [
            {"mediaType": f"{_OCI}.layer.v1.tar", "digest": layer.digest, "size": layer.size} for layer in self.layers
        ]
        about = {"mediaType": f"{_OCI}.config.v1+json", "digest": _hash(config), "size": len(config)}
        return {"schemaVersion": 2, "mediaType": f"{_OCI}.manifest.v1+json", "config": about, "layers": layers}

    def _build_index(self, manifest: bytes) -> JSON:
        entry = {
            "mediaType": f"{_OCI}.manifest.v1+json",
            "digest": _hash(manifest),
            "size": len(manifest),
            "annotations": {"io.containerd.image.name": self.reference},
        }
        return {"schemaVersion": 2, "manifests": [entry]}


def build_images(names: Sequence[str], engine: str) -> list[str]:
    """Build images of `images/` by ``docker`` or ``buildah`` and return their references."""
    environment = os.environ | {"PRACTICUM_IMAGE_ENGINE": engine}
    subprocess.run([TOOLS.parent / "images/build.sh", *names], check=True, env=environment)
    return [f"{REGISTRY}/practicum-{name}:dev" for name in names]


def build_shipments(names: Sequence[str]) -> list[Shipment]:
    """Build images of `images/` with buildah, whose store can be read (Docker's cannot), and return them."""
    return [export_image(reference) for reference in build_images(names, "buildah")]


def export_image(reference: str) -> Shipment:
    """Return an image from buildah's store.

    Raises:
        RuntimeError: The image does not exist.
    """
    script = f'. "{_ENGINE}"; echo "$store"; run_buildah inspect --type image "{reference}"'
    answer = subprocess.run(["bash", "-c", script], check=False, capture_output=True, text=True)
    if answer.returncode:
        raise RuntimeError(f"{reference} is not built (tools/images/build.sh): {answer.stderr.strip()[-500:]}")
    store, _, text = answer.stdout.partition("\n")
    config = json.loads(text)["OCIv1"]
    root = Path(store) / "root"
    stored = json.loads((root / "overlay-layers/layers.json").read_text())
    # A layer of a build that is running has no digest yet.
    known = {one["diff-digest"]: one["id"] for one in stored if "diff-digest" in one}
    layers = [_measure(root / "overlay" / known[digest] / "diff", digest) for digest in config["rootfs"]["diff_ids"]]
    config["rootfs"]["diff_ids"] = [layer.digest for layer in layers]
    return Shipment(reference, config, layers)


def _measure(folder: Path, digest: str) -> Layer:
    """Return a layer with the digest of its packed form; the digest is cached."""
    note = get_cache() / "layers" / f"{digest.replace(':', '-')}.json"
    try:
        known = json.loads(note.read_text())
    except (OSError, ValueError):
        meter = _Meter()
        write_layer(folder, meter)
        known = {"digest": f"sha256:{meter.hash.hexdigest()}", "size": meter.size}
        note.parent.mkdir(parents=True, exist_ok=True)
        partial = note.with_suffix(f".{os.getpid()}")
        partial.write_text(json.dumps(known))
        partial.replace(note)
    return Layer(folder, known["digest"], known["size"])


def write_layer(folder: Path, target: IO[bytes] | _Meter) -> None:
    """Pack a folder of buildah's overlay storage. Equal folders give equal bytes."""
    # tarfile only calls `write`, but its type asks for a whole file object.
    stream = cast("IO[bytes]", target)
    with tarfile.open(fileobj=stream, mode="w|", bufsize=_BUFFER, format=tarfile.PAX_FORMAT) as archive:
        for path in _walk(folder):
            name = str(path.relative_to(folder))
            status = path.lstat()
            if stat.S_ISCHR(status.st_mode) and status.st_rdev == 0:
                # A file of a lower layer was deleted: overlayfs marks that by a device, an image by a name.
                add_file(archive, str(path.relative_to(folder).with_name(f".wh.{path.name}")), b"")
                continue
            info = archive.gettarinfo(path, name)
            info.uname = info.gname = ""
            if info.isreg():
                with path.open("rb") as content:
                    archive.addfile(info, content)
            else:
                archive.addfile(info)


def _walk(folder: Path) -> Iterator[Path]:
    for entry in sorted(os.scandir(folder), key=lambda one: one.name):
        path = Path(entry.path)
        yield path
        if entry.is_dir(follow_symlinks=False):
            yield from _walk(path)


class _Meter:
    """A stream that counts and hashes the bytes written to it, and passes them on to a target if there is one."""

    def __init__(self, target: Any = None) -> None:  # noqa: ANN401 - tarfile's own stream has no public type
        self._target = target
        self.hash = hashlib.sha256()
        self.size = 0

    def write(self, data: bytes) -> int:
        """Count, hash and pass on bytes."""
        self.size += len(data)
        if self._target is None:
            self.hash.update(data)
        else:
            self._target.write(data)
        return len(data)


def _get_path(digest: str) -> str:
    return f"blobs/{digest.replace(':', '/')}"


def _hash(content: bytes) -> str:
    return f"sha256:{hashlib.sha256(content).hexdigest()}"
