"""What the evidence pack says of whole, cut-off and hostile run directories."""

from __future__ import annotations

import json
import re
from html.parser import HTMLParser

import pytest

from practicum_core.atomic import append_json_line
from practicum_core.errors import DataError, Reason
from practicum_core.evidence import Evidence
from practicum_core.lineage import Lineage, write_lineage
from practicum_core.stages.leaks import Leak
from practicum_jobs.render.blocks import Charts, Disclosure, Example, Table
from practicum_jobs.report.pack import build_sections
from practicum_jobs.report.reading import read_run
from practicum_jobs.report.samples import build_samples_section
from practicum_jobs.report.verdict import Pack, build_evidence

OTHER_ID = "20260303t101112-ffeedd"


class Text(HTMLParser):
    """Visible text, and every start tag with its attributes."""

    def __init__(self, page):
        super().__init__()
        self.tags, self.words, self._is_hidden = [], [], False
        self.feed(page)

    def handle_starttag(self, tag, attrs):
        self.tags.append((tag, dict(attrs)))
        self._is_hidden = tag in ("style", "script")

    def handle_endtag(self, tag):
        self._is_hidden = False

    def handle_data(self, data):
        if not self._is_hidden:
            self.words.append(data)

    @property
    def text(self):
        return "\n".join(self.words)


def test_a_whole_run_passes_with_its_figures_gates_and_command(make_sft_run):
    run = make_sft_run()
    record = run.build_pack()
    evidence = Evidence.model_validate(run.evidence)
    assert record.verdict == evidence.verdict == "passed"
    assert {gate.name for gate in evidence.gates} == {"no_leakage", "improvement", "loss_fell", "export_agrees"}
    delta = next(metric for metric in evidence.metrics if metric.name == "exact_match_delta")
    assert (delta.stage, delta.low, delta.high) == ("evaluate", 0.58, 0.8167)
    assert evidence.reproduce == "practicum run sft --variant 10 --profile quick --seed 7"
    shown = Text(run.html).text
    for words in (
        "Passed",
        "通过",
        "+71.7 pp",
        "+58.0 … +81.7 pp",
        evidence.reproduce,
        f"practicum verify {evidence.run}",
    ):
        assert words in shown, words


def test_evidence_json_has_the_keys_that_machines_read(make_sft_run):
    run = make_sft_run()
    run.build_pack()
    evidence = run.evidence
    assert {"unit", "verdict", "gates", "metrics"} <= evidence.keys()
    assert all({"name", "passed", "value", "threshold"} <= gate.keys() for gate in evidence["gates"])
    assert all({"stage", "name", "value", "unit", "low", "high"} <= one.keys() for one in evidence["metrics"])


def test_the_interval_decides_and_not_the_estimate(make_sft_run):
    run = make_sft_run(low=0.19)
    assert run.build_pack().verdict == "failed"
    assert "not passed" in Text(run.html).text


@pytest.mark.parametrize("step", ["model", "snapshot", "sft", "inference", "evaluate"])
def test_a_record_that_is_missing_or_cut_off_fails_the_unit_and_is_named(make_sft_run, step):
    missing, cut = make_sft_run("missing"), make_sft_run("cut")
    missing.layout.stage(step).record.unlink()
    path = cut.layout.stage(step).record
    path.write_bytes(path.read_bytes()[: path.stat().st_size // 2])
    for run in (missing, cut):
        assert run.build_pack().verdict == "failed"
        shown = Text(run.html).text
        assert f"stages/{step}/record.json" in shown
        assert "the run is incomplete" in shown
        assert not any(metric["stage"] == step for metric in run.evidence["metrics"])
    assert "the file is missing" in Text(missing.html).text
    assert "incomplete or malformed" in Text(cut.html).text


def test_a_run_of_nothing_but_its_request_still_gets_a_pack(make_run):
    run = make_run()
    run.write_surroundings("sft")
    run.layout.environment.unlink()
    assert run.build_pack().verdict == "failed"
    assert run.evidence["metrics"] == []
    assert "environment.json" in Text(run.html).text


def test_without_a_readable_request_there_is_no_pack(make_run):
    run = make_run()
    for content in (None, "a: [1", "kind: WeekJob\n", "kind: [", "1"):
        if content is not None:
            run.layout.weekjob.write_text(content, encoding="utf-8")
        with pytest.raises(DataError) as caught:
            run.build_pack()
        assert caught.value.reason is Reason.RUN_INCOMPLETE
        assert "weekjob.yaml" in caught.value.detail
    assert not run.layout.evidence_html.exists()


def test_why_a_step_failed_and_cut_off_lines_are_told(make_sft_run):
    run = make_sft_run()
    layout = run.layout.stage("evaluate")
    layout.record.unlink()
    layout.error.write_text('{"reason": "OutOfMemory", "detail": "killed by signal 9", "fix": "use less"}')
    with layout.samples.open("a") as handle:
        handle.write('{"id": "half')
    run.build_pack()
    shown = Text(run.html).text
    assert "OutOfMemory: killed by signal 9" in shown
    assert "use less" in shown
    assert "1 truncated or unreadable line(s)" in shown
    assert "half" not in shown


def test_two_runs_alike_give_pages_alike_but_for_ids_and_times(make_sft_run):
    first, second = make_sft_run("one"), make_sft_run("two", run_id=OTHER_ID, hour=9)
    first.build_pack()
    second.build_pack()
    assert first.html != second.html
    assert _strip(first.html) == _strip(second.html)


def test_the_same_run_gives_the_same_bytes(make_sft_run):
    run = make_sft_run()
    hashes = {run.build_pack().html_sha256 for _ in range(2)}
    assert len(hashes) == 1


def _strip(page):
    return re.sub(r"[0-9]{8}t[0-9]{6}-[0-9a-f]{6}|[0-9]{4}-[0-9]{2}-[0-9]{2} [0-9:]{8}", "*", page)


def test_hostile_samples_are_shown_as_text_and_cut(make_sft_run):
    hostile = "</dd><script>alert(1)</script><img src=x onerror=alert(2)>\u202egnp.exe\x00\x1b[31mLONE" + "长" * 5000
    run = make_sft_run(prompt=hostile)
    samples = run.layout.stage("evaluate").samples
    samples.write_text(samples.read_text(encoding="utf-8").replace("LONE", "\\ud800"), encoding="utf-8")
    run.build_pack()
    page = Text(run.html)
    assert [tag for tag, _ in page.tags].count("script") == 1
    assert not any(tag == "img" or "onerror" in attributes for tag, attributes in page.tags)
    assert "<script>alert(1)</script>" in page.text
    assert "⟦U+202E⟧" in page.text
    assert "⟦U+D800⟧" in page.text
    assert not re.search(r"[\x00-\x08\x0b-\x1f\u202a-\u202e]", run.html)
    assert "长" * 1300 not in run.html
    assert re.search(r"… \(\+[0-9,]+\)", page.text)


def test_the_page_needs_nothing_else(make_sft_run):
    run = make_sft_run()
    run.build_pack()
    for tag, attributes in Text(run.html).tags:
        assert tag not in ("link", "iframe", "object", "embed", "base", "form")
        for name in ("src", "href", "action", "xlink:href"):
            assert attributes.get(name, "#").startswith("#"), (tag, attributes)
    assert "default-src 'none'" in run.html
    assert str(run.layout.root.parent) not in run.html
    assert "url(" not in run.html
    assert "@import" not in run.html


def test_a_page_that_a_step_left_behind_is_linked_from_the_pack(make_sft_run):
    run = make_sft_run()
    record = json.loads(run.layout.stage("sft").record.read_text())
    page = {"path": "stages/sft/artifacts/page.html", "sha256": "0" * 64, "size_bytes": 10, "note": ""}
    record["artifacts"].append(page)
    run.layout.stage("sft").record.write_text(json.dumps(record))
    run.build_pack()
    links = [attributes["href"] for tag, attributes in Text(run.html).tags if tag == "a"]
    assert "../stages/sft/artifacts/page.html" in links


def test_restarted_curves_are_drawn_once_with_the_restart_and_the_best_checkpoint(make_sft_run):
    run = make_sft_run()
    files = read_run(run.layout, "report")
    [step] = [one for one in files.steps if one.stage == "sft"]
    assert step.curves.restarts == [40]
    charts = [
        chart
        for section in build_sections(Pack(files, build_evidence(files), 12))
        for block in section.blocks
        if isinstance(block, Charts)
        for chart, _ in block.charts
    ]
    drawn = {chart.name: chart.body for chart in charts}
    assert {"sft-loss", "sft-grad-norm", "sft-learning-rate", "forest-share", "forest-points"} <= drawn.keys()
    assert "resumed" in drawn["sft-loss"]
    assert "最佳检查点" in drawn["sft-loss"]
    training = drawn["sft-loss"].split('<polyline points="')[1].split('"')[0].split(" ")
    xs = [float(point.split(",")[0]) for point in training]
    assert len(xs) == 60
    assert xs == sorted(xs)


def test_a_run_lost_from_its_first_step_shows_no_curve_and_no_fault(make_run):
    run = make_run()
    run.write_surroundings("sft")
    append_json_line(run.layout.stage("sft").metrics, {"step": 1, "time_s": 1.0, "loss": float("inf")})
    assert run.build_pack().verdict == "failed"


def test_losses_are_shown_first_and_never_left_out(make_sft_run):
    run = make_sft_run()
    files = read_run(run.layout, "report")
    section = build_samples_section(Pack(files, build_evidence(files), 4))
    groups = [block for block in section.blocks if isinstance(block, Disclosure)]
    assert groups[0].summary.en == "Got worse after tuning: 1 of 1 recorded"
    assert groups[0].is_open
    assert [one.title for one in groups[0].blocks if isinstance(one, Example)] == ["test-5"]
    assert groups[1].summary.en == "Put right by the tuned model: 1 of 5 recorded"


def test_no_samples_are_shown_when_none_are_wanted(make_sft_run):
    run = make_sft_run()
    run.build_pack(max_samples=0)
    assert "test-5" not in run.html


def test_waived_leakage_dirty_code_and_retries_are_told(make_run):
    run = make_run()
    run.write_surroundings("experiments", is_dirty=True, waiveLeakage=["near:train-test"])
    run.write_model()
    run.write_snapshot((Leak(name="near:train-test", num_rows=3, share_ratio=0.015, waived=True, examples=["t-1"]),))
    run.write_evaluate(is_paired=False)
    append_json_line(run.layout.events, {"time": "", "event": "step_started", "step": "evaluate", "attempt": 2})
    assert run.build_pack().verdict == "passed"
    shown = Text(run.html).text
    assert "Leakage that was waived by name: near:train-test" in shown
    assert "code.diff" in shown
    assert "was started 2 times" in shown
    assert run.evidence["reproduce"].endswith("--waive near:train-test")


def test_the_audit_shows_masked_samples_and_how_well_flaws_were_found(make_run):
    run = make_run()
    run.write_surroundings("data")
    run.write_model()
    run.write_audit()
    assert run.build_pack().verdict == "passed"
    shown = Text(run.html).text
    for words in ("Recall", "召回率", "138****0004", "Chinese mobile number", "中国大陆手机号", "p99", "90.0 … 99.5%"):
        assert words in shown, words


def test_the_earlier_runs_that_it_is_built_on_are_shown_in_both_languages(make_sft_run):
    run = make_sft_run()
    run.build_pack()
    assert "所依据的运行" not in Text(run.html).text
    locked = {"unit": "sft", "run_id": OTHER_ID, "path": "stages/sft/artifacts/merged", "sha256": "ab" * 32}
    lineage = Lineage.model_validate({"built_on": [{"reference": "latest:sft/merged", **locked}]})
    write_lineage(run.layout, lineage)
    run.build_pack()
    shown = Text(run.html).text
    for words in ("Built on", "所依据的运行", "week 3, sft", "第 3 周，sft", f"sft/{OTHER_ID}", "ab" * 32):
        assert words in shown
    assert Evidence.model_validate(run.evidence).built_on == lineage.built_on
    run.layout.lineage_lock.write_text('{"built_')
    record = run.build_pack()
    assert record.notes == ["missing or unreadable: lineage.lock.json"]


def test_the_one_factor_against_the_control_is_shown(make_sft_run):
    run = make_sft_run()
    run.write_control()
    run.build_pack()
    assert "sft.learning_rate: 0.001 → 0.0005" in Text(run.html).text


def test_every_course_row_of_the_unit_points_to_a_section_that_exists(make_sft_run):
    run = make_sft_run()
    files = read_run(run.layout, "report")
    sections = build_sections(Pack(files, build_evidence(files), 12))
    table = next(block for block in sections[-1].blocks if isinstance(block, Table))
    assert [row[0] for row in table.rows] == ["W3.1", "W3.2", "W3.3"]
    for row in table.rows:
        numbers = re.findall(r"(\d+) ", row[2].en)
        assert numbers
        assert all(1 <= int(number) <= len(sections) for number in numbers)


def test_json_in_the_pack_is_plain_json(make_sft_run):
    run = make_sft_run()
    run.build_pack()
    json.loads(run.layout.evidence_json.read_text(encoding="utf-8"), parse_constant=pytest.fail)


def test_a_figure_that_is_no_number_fails_its_gate_and_is_named(make_sft_run):
    run = make_sft_run()
    path = run.layout.stage("evaluate").record
    path.write_text(path.read_text(encoding="utf-8").replace("0.7167", "NaN"), encoding="utf-8")
    assert run.build_pack().verdict == "failed"
    assert "are not finite; they are left out: exact_match_delta" in Text(run.html).text
    json.loads(run.layout.evidence_json.read_text(encoding="utf-8"), parse_constant=pytest.fail)
