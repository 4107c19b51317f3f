"""A repro that does not end: where its threads and its child processes stood is captured."""

from __future__ import annotations

from practicum_core.atomic import write_json_atomic
from practicum_core.dossier_files import Dossier, Repro
from practicum_core.layout import RunLayout
from practicum_jobs.dossier.capture import finish_capture
from practicum_jobs.dossier.execution import CleanRoom
from practicum_jobs.dossier.material import Material
from practicum_jobs.dossier.page import build_page
from practicum_jobs.dossier.stacks import find_stacks
from practicum_jobs.dossier.stage_scene import read_stage_symptom
from practicum_jobs.dossier.steps import Workbench, capture_symptom

PROGRAM = """
import queue
import subprocess
import sys
import threading

def wait_for_room(places):
    places.put(1)
    places.put(2)

def wait_for_child():
    subprocess.run([sys.executable, "child.py"])

if __name__ == "__main__":
    threading.Thread(target=wait_for_room, args=(queue.Queue(1),)).start()
    wait_for_child()
"""
CHILD = """
import threading

def wait_for_nobody():
    threading.Event().wait()

wait_for_nobody()
"""


def test_the_dossier_of_a_hanging_repro_tells_where_its_threads_and_child_processes_stood(tmp_path):
    (tmp_path / "repro").mkdir()
    for name, text in (("program.py", PROGRAM), ("child.py", CHILD)):
        (tmp_path / "repro" / name).write_text(text)
    repro = Repro(timeout_s=6)
    bench = Workbench(tmp_path, CleanRoom(tmp_path / "room"), 2)
    symptom = capture_symptom(bench, repro)
    assert (symptom.reason, symptom.text) == ("Timeout", "no end within 6 s")
    begun = Dossier(name="d", title_en="x", title_zh="y", source="sft/1", created_at="", symptom=symptom, repro=repro)
    made = finish_capture(bench, begun)
    assert made.captured == ["log.txt", "packages.json", "stacks.txt"]
    for place in ("program.py:9 in wait_for_room", "program.py:12 in wait_for_child", "child.py:5 in wait_for_nobody"):
        assert place in made.events[-1].en
    assert "wait_for_nobody" in build_page(tmp_path, made)


def test_a_program_that_ends_in_time_is_asked_nothing(tmp_path):
    path = tmp_path / "program.py"
    path.write_text("raise SystemExit(3)\n")
    ending = CleanRoom(tmp_path / "room").execute(Material(files={path.name: path}), ["program.py"], 60.0)
    assert (ending.status, find_stacks(ending.stderr)) == (3, "")


def test_a_step_that_was_stopped_has_no_symptom_of_its_own(tmp_path):
    layout = RunLayout(tmp_path)
    layout.stage("sft").root.mkdir(parents=True)
    write_json_atomic(layout.stage("sft").error, {"reason": "Stopped", "detail": "stopped on request"})
    assert read_stage_symptom(layout, "sft", "") is None
    write_json_atomic(layout.stage("sft").error, {"reason": "DataInvalid", "detail": "row 5 is empty; row 6 too"})
    assert read_stage_symptom(layout, "sft", "").text == "row 5 is empty"
