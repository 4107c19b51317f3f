"""``practicum dossier`` on the planted NaN row: from the first failure to a closed dossier, and what keeps it open."""

from __future__ import annotations

import json
import shutil

from practicum_jobs.dossier.exercises import FOLDER


def test_a_planted_row_is_taken_to_a_closed_dossier(command, tmp_path):
    def act(*words):
        code, out, err = command("dossier", *words, "--out", tmp_path, "--json")
        assert "Traceback" not in err
        return code, json.loads(out)["dossier"] if out else None

    code, dossier = act("new", "exercise:nan-row", "--name", "mine")
    folder = tmp_path / "dossiers" / "mine"
    assert (code, dossier["symptom"]["reason"]) == (0, "FloatingPointError")
    assert {"log.txt", "packages.json"} <= set(dossier["captured"])
    assert not (folder / "fix").exists(), "a student gets the solution"
    assert act("new", "exercise:nan-row", "--name", "mine")[0] == 2

    code, dossier = act("close", "mine", "--repeats", "2")
    assert (code, dossier["closing"]["problems"] != []) == (1, True)

    assert act("run", "mine", "--repeats", "2")[0] == 0
    code, dossier = act("bisect", "mine", "--axis", "rows", "--repeats", "2")
    assert (code, dossier["searches"][0]["culprits"]) == (0, ["t-17"])
    assert (folder / "minimal" / "rows.jsonl").read_text().count("\n") == 1
    assert dossier["minimal"]["verdict"] == "reproduced"

    for part in ("fix", "regression"):
        shutil.copytree(FOLDER / "nan-row" / part, folder / part)
    code, dossier = act("close", "mine", "--repeats", "2")
    assert (code, dossier["closing"]["problems"]) == (0, [])
    page = (folder / "index.html").read_text()
    assert "Cause located" not in page
    assert "已关闭" in page
    assert "t-17" in page
