"""The search over versions of packages, on wheels that the test makes and uv installs."""

from __future__ import annotations

import zipfile
from dataclasses import replace

import pytest

from practicum_core.dossier_files import Outcome, Repro, SearchVerdict, Symptom
from practicum_jobs.dossier.execution import CleanRoom, judge
from practicum_jobs.dossier.material import read_material
from practicum_jobs.dossier.search import Investigation, build_package_space

SYMPTOM = Symptom(reason="AssertionError", text="the sum is wrong")
PROGRAM = (
    "import planted_alpha, planted_beta, planted_gamma\n"
    "if planted_beta.VERSION == 2: raise AssertionError('the sum is wrong')\n"
)


def write_wheel(folder, name, version):
    info = f"{name}-{version}.dist-info"
    with zipfile.ZipFile(folder / f"{name}-{version}-py3-none-any.whl", "w") as wheel:
        wheel.writestr(f"{name}.py", f"VERSION = {version}\n")
        wheel.writestr(f"{info}/METADATA", f"Metadata-Version: 2.1\nName: {name}\nVersion: {version}\n")
        wheel.writestr(
            f"{info}/WHEEL", "Wheel-Version: 1.0\nGenerator: test\nRoot-Is-Purelib: true\nTag: py3-none-any\n"
        )
        wheel.writestr(f"{info}/RECORD", f"{name}.py,,\n{info}/METADATA,,\n{info}/WHEEL,,\n{info}/RECORD,,\n")


@pytest.fixture
def repro(tmp_path):
    wheels = tmp_path / "repro" / "wheels"
    wheels.mkdir(parents=True)
    for name in ("planted_alpha", "planted_beta", "planted_gamma"):
        for version in (1, 2):
            write_wheel(wheels, name, version)
    (tmp_path / "repro" / "program.py").write_text(PROGRAM)
    (tmp_path / "repro" / "packages.txt").write_text("planted_alpha==2\nplanted_beta==2\nplanted_gamma==2\n")
    return read_material(tmp_path / "repro")


def test_the_version_that_makes_the_difference_is_named(repro, tmp_path):
    room = CleanRoom(tmp_path / "room")
    good = {"planted-alpha": "1", "planted-beta": "1", "planted-gamma": "1"}
    space = build_package_space(repro, good)
    found = Investigation(space, lambda one: judge(room, Repro(), one, SYMPTOM), lambda *_: None, 2).run()
    assert (found.verdict, found.culprits) == (SearchVerdict.FOUND, ["planted-beta"])
    assert found.num_candidates == 3


def test_a_version_that_cannot_be_installed_is_no_symptom(repro, tmp_path):
    wrong = replace(repro, pins={"planted-beta": "9"})
    trial = judge(CleanRoom(tmp_path / "room"), Repro(), wrong, SYMPTOM)
    assert trial.outcome is Outcome.UNCLEAR
    assert "cannot be installed" in trial.seen.text
