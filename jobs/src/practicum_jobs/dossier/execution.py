"""Execution of one case in a clean environment, and what it showed.

The process gets a folder of its own, only the variables listed here, and no path of the caller. It ends well with exit
code 0; 125 says that the case cannot be judged, as in ``git bisect run``; every other end is a failure, whose symptom
is the last line of its standard error. One whose time is over writes where its threads stand before it is killed.
"""

from __future__ import annotations

import os
import re
import shutil
import signal
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path

from practicum_core.dossier_files import Outcome, Repro, Symptom
from practicum_core.errors import PlatformError, Stopped
from practicum_core.machine import get_cache_dir
from practicum_core.stage_process import find_stage_packages
from practicum_jobs.dossier.material import Edit, Material, build_tree
from practicum_jobs.dossier.packages import PackageFolders
from practicum_jobs.dossier.stacks import SWITCH, ask_for_stacks
from practicum_jobs.dossier.stage_scene import StageScene
from practicum_runtime.process_tree import kill_tree

PROGRAM = "program.py"
CANNOT_JUDGE = 125
_POLL_S = 0.02
_MAX_LINE = 300
_EXCEPTION = re.compile(r"([A-Za-z_][\w.]*)(?:: (.*))?")
_KEPT_VARIABLES = ("PATH", "LANG", "LC_ALL", "OMP_NUM_THREADS", "OMP_WAIT_POLICY", "CUDA_VISIBLE_DEVICES")


@dataclass(frozen=True)
class Ending:
    """How a process ended. ``status`` is ``None`` where it was killed because its time was over."""

    status: int | None
    stdout: str
    stderr: str
    duration_s: float
    told: Symptom | None = None
    """How a stage said that it failed."""


@dataclass(frozen=True)
class Trial:
    """What one execution showed: ``seen`` is the failure, whether it is the dossier's or another."""

    outcome: Outcome
    seen: Symptom | None
    duration_s: float


class CleanRoom:
    """Executes material, each time in a new folder and a new process.

    Args:
        folder: For what is built once, such as changed copies of the platform's packages; emptied on close.
        is_stop_requested: Asked while a process runs.
    """

    def __init__(self, folder: Path, is_stop_requested: Callable[[], bool] = lambda: False) -> None:
        self._folder = folder
        self._is_stop_requested = is_stop_requested
        self._packages = PackageFolders(folder)
        self._trees: dict[tuple[Edit, ...], Path] = {}

    def execute(
        self, material: Material, arguments: Sequence[str], timeout_s: float, scene: StageScene | None = None
    ) -> Ending:
        """Run the interpreter with ``arguments`` in a folder with the material.

        A program of that folder may import what lies beside it; one from elsewhere needs ``-P``.

        Raises:
            Stopped: A stop was requested; the process was killed.
        """
        self._folder.mkdir(parents=True, exist_ok=True)
        place = Path(tempfile.mkdtemp(dir=self._folder, prefix="case-"))
        try:
            material.write(place)
            variables = self._build_variables(material, place)
            if scene is None:
                return self._wait([sys.executable, *arguments], place, variables, timeout_s)
            scene.prepare(place)
            variables |= scene.build_variables(place)
            ending = self._wait([sys.executable, *arguments], place, variables, timeout_s)
            return replace(ending, told=scene.read_symptom(place, ending.stdout + ending.stderr))
        finally:
            shutil.rmtree(place, ignore_errors=True)

    def _build_variables(self, material: Material, place: Path) -> dict[str, str]:
        kept = {name: os.environ[name] for name in _KEPT_VARIABLES if name in os.environ}
        edits = [] if material.sources else material.package_edits
        installed = [path.parent for path in find_stage_packages().values()]
        packages = [self._get_tree(edits)] if edits else list(dict.fromkeys([*material.sources, *installed]))
        overlay = [self._packages.ensure(material.pins, material.wheels)] if material.pins else []
        return {
            **kept,
            **SWITCH,
            "HOME": str(place),
            "TMPDIR": str(place),
            "PRACTICUM_CACHE": str(get_cache_dir()),
            "PYTHONPATH": os.pathsep.join(map(str, [*overlay, *packages])),
            "PYTHONHASHSEED": "0",
            "PYTHONIOENCODING": "utf-8",
            "HF_HUB_OFFLINE": "1",
        }

    def _get_tree(self, edits: Sequence[Edit]) -> Path:
        key = tuple(edits)
        if key not in self._trees:
            self._trees[key] = build_tree(edits, self._folder / f"tree-{len(self._trees)}")
        return self._trees[key]

    def _wait(self, command: list[str], place: Path, variables: dict[str, str], timeout_s: float) -> Ending:
        began_s = time.monotonic()
        out, err = place / "stdout.txt", place / "stderr.txt"
        with out.open("wb") as stdout, err.open("wb") as stderr:
            process = subprocess.Popen(
                command,
                cwd=place,
                env=variables,
                stdin=subprocess.DEVNULL,
                stdout=stdout,
                stderr=stderr,
                start_new_session=True,
            )
            try:
                while process.poll() is None and time.monotonic() - began_s < timeout_s:
                    if self._is_stop_requested():
                        raise Stopped
                    time.sleep(_POLL_S)
                status = process.poll()
                if status is None:
                    ask_for_stacks(process.pid)
            finally:
                kill_tree(process.pid)
                process.wait()
        texts = [path.read_text(encoding="utf-8", errors="replace") for path in (out, err)]
        return Ending(status, texts[0], texts[1], round(time.monotonic() - began_s, 3))


def execute_repro(room: CleanRoom, repro: Repro, material: Material) -> tuple[Symptom | None, Ending]:
    """Execute the repro once and return its failure; ``None`` where it ended well."""
    if repro.kind == "stage":
        scene = StageScene(repro)
        ending = room.execute(material, scene.build_arguments(), repro.timeout_s, scene)
    else:
        ending = room.execute(material, [PROGRAM], repro.timeout_s)
    return find_symptom(ending, repro.timeout_s), ending


def judge(room: CleanRoom, repro: Repro, material: Material, symptom: Symptom) -> Trial:
    """Execute the repro once and hold what it showed against the dossier's symptom."""
    try:
        seen, ending = execute_repro(room, repro, material)
    except PlatformError as error:  # versions that cannot be installed say nothing about the failure
        return Trial(Outcome.UNCLEAR, Symptom(reason=error.reason, text=error.detail[:_MAX_LINE]), 0.0)
    if seen is None:
        return Trial(Outcome.GOOD, None, ending.duration_s)
    is_same = ending.status != CANNOT_JUDGE and seen.is_same_as(symptom)
    return Trial(Outcome.BAD if is_same else Outcome.UNCLEAR, seen, ending.duration_s)


def find_symptom(ending: Ending, timeout_s: float) -> Symptom | None:
    r"""Return the failure that an ending shows; ``None`` for a good end.

    >>> find_symptom(Ending(1, "", "Traceback ...\nValueError: loss is nan\n", 0.1), 9)
    Symptom(reason='ValueError', text='loss is nan')
    >>> find_symptom(Ending(None, "", "", 9.0), 9)
    Symptom(reason='Timeout', text='no end within 9 s')
    """
    if ending.status == 0 or ending.told:
        return ending.told
    if ending.status is None:
        return Symptom(reason="Timeout", text=f"no end within {timeout_s:g} s")
    if ending.status < 0:
        name = signal.Signals(-ending.status).name
        return Symptom(reason=name, text=f"killed by {name}")
    lines = [line.strip() for line in ending.stderr.splitlines() if line.strip()]
    last = lines[-1][:_MAX_LINE] if lines else f"exit code {ending.status}"
    match = _EXCEPTION.fullmatch(last)
    if match and lines and lines[0].startswith("Traceback"):
        return Symptom(reason=match[1], text=match[2] or match[1])
    return Symptom(reason=f"Exit{ending.status}", text=last)
