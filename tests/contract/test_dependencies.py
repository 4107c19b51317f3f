"""What a package asks for is what it imports."""

from __future__ import annotations

import re
import tomllib
from importlib import metadata
from pathlib import Path

import pytest

ROOT = Path(__file__).parents[2]
PROJECTS = sorted([ROOT / "jobs", *ROOT.glob("platform/*/"), *ROOT.glob("services/*/")])
OF_OTHERS = {
    "httptools": "uvicorn reads requests with it",
    "psycopg": "SQLAlchemy reaches PostgreSQL with it",
    "uv": "a program, started to make environments",
}
IMPORT = re.compile(r"^\s*(?:from\s+([\w.]+)\s+import\s+\(?\s*(\w+)?|import\s+([\w.]+))", re.MULTILINE)


def list_modules(package):
    """List the modules that a distribution brings."""
    names = (str(path) for path in metadata.files(package) if path.suffix in {".py", ".so"})
    return {re.sub(r"(/__init__)?(\.[\w-]+)*$", "", name).replace("/", ".") for name in names}


def is_used(package, imported):
    if package in OF_OTHERS:
        return True
    try:
        modules = list_modules(package)
    except metadata.PackageNotFoundError:
        return False
    return any(name == module or name.startswith(f"{module}.") for module in modules for name in imported)


@pytest.mark.parametrize("project", PROJECTS, ids=lambda path: path.name)
def test_a_package_asks_for_nothing_that_it_does_not_import(project):
    asked = tomllib.loads((project / "pyproject.toml").read_text(encoding="utf-8"))["project"]["dependencies"]
    packages = {re.match(r"[\w-]+", one)[0] for one in asked}
    imported = {
        f"{found[1]}.{found[2]}" if found[1] else found[3]
        for path in project.glob("src/**/*.py")
        for found in IMPORT.finditer(path.read_text(encoding="utf-8"))
    }
    assert [one for one in sorted(packages) if not one.startswith("practicum") and not is_used(one, imported)] == []
