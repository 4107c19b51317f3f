"""The files of a new experiments folder (``practicum init``). Existing files are not overwritten."""

from __future__ import annotations

from importlib import resources
from pathlib import Path

from practicum_core.atomic import explain_os_errors
from practicum_core.errors import PlatformError, Reason

FILES: dict[str, str] = {
    "README.md": "README.md",
    "README.zh-CN.md": "README.zh-CN.md",
    "gitignore.txt": ".gitignore",
    "week-01.yaml": "configs/week-01.yaml",
    "week-02.yaml": "configs/week-02.yaml",
    "week-03.yaml": "configs/week-03.yaml",
    "week-03-half-rate.yaml": "configs/week-03-half-rate.yaml",
    "summarize.sh": "summarize.sh",
    "experiments.md": "experiments/README.md",
}
"""Name in the package to name in the student's folder."""
_EXECUTABLE = frozenset({"summarize.sh"})


def lay_down(folder: Path) -> tuple[list[Path], list[Path]]:
    """Write the template's files below ``folder``, which is made where it is missing.

    Returns:
        The files written, and those that existed and were kept.

    Raises:
        PlatformError: ``folder`` is a file or cannot be written.
    """
    if folder.exists() and not folder.is_dir():
        raise PlatformError(Reason.PERMISSION_DENIED, f"{folder}: is a file, not a folder", "choose another folder")
    source = resources.files("practicum_cli") / "experiments_template"
    written, kept = [], []
    for name, target in FILES.items():
        path = folder / target
        if path.exists() or path.is_symlink():
            kept.append(path)
            continue
        with explain_os_errors(path):
            path.parent.mkdir(parents=True, exist_ok=True)
            with path.open("x", encoding="utf-8") as handle:
                handle.write((source / name).read_text(encoding="utf-8"))
            if name in _EXECUTABLE:
                path.chmod(0o755)
        written.append(path)
    return written, kept
