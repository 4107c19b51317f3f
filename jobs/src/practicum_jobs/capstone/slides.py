"""The slides of a defence: one self-contained HTML file that prints as a PDF, one slide a sheet."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from markupsafe import Markup

from practicum_core.metrics import StageMetric
from practicum_core.stages.capstone import CapstoneRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.capstone.facts import WeekFacts, choose_weeks
from practicum_jobs.capstone.messages import DOCUMENT, EYEBROW, RETROSPECTIVE, SLIDES
from practicum_jobs.capstone.retrospective import list_next_steps
from practicum_jobs.render.blocks import Figure
from practicum_jobs.render.figures import format_interval, format_metric, get_metric_title
from practicum_jobs.render.page import get_environment, hash_script

_POINTS = 6
_FIGURES = 6


@dataclass(frozen=True)
class Slide:
    """One slide: a heading with figures or sentences."""

    title: Bilingual
    figures: Sequence[Figure] = ()
    points: Sequence[Text] = ()


def build_slides(facts: Sequence[WeekFacts], record: CapstoneRecord) -> str:
    """Build the file."""
    whole = sum(not week.num_broken for week in record.weeks)
    same = sum(one.agreement != "differs" for one in record.reruns)
    chain = SLIDES["chain"].format(
        whole=whole, total=len(record.weeks), hashes=sum(week.num_files for week in record.weeks)
    )
    reruns = SLIDES["reruns"].format(same=same, total=len(record.reruns))
    risks: list[Text] = [gate for one in facts for gate in one.failed_gates]
    risks += [found.title for one in facts for found in one.failures[:2]]
    slides = [
        Slide(SLIDES["links"], points=[chain, reruns]),
        *_build_figure_slides(DOCUMENT["effect"], choose_weeks(facts, "effect")),
        *_build_figure_slides(DOCUMENT["performance"], choose_weeks(facts, "performance")),
        *([Slide(DOCUMENT["shown"], _build_slide_figures(record.shown))] if record.shown else []),
        Slide(DOCUMENT["risk"], points=list(dict.fromkeys(risks))[:_POINTS] or [DOCUMENT["all_pass"]]),
        Slide(RETROSPECTIVE["next"], points=list_next_steps(facts, record)[:_POINTS]),
    ]
    environment = get_environment()
    script = environment.get_template("language.js").render()
    return environment.get_template("slides.html").render(
        title=SLIDES["title"],
        eyebrow=EYEBROW,
        weeks=[one.title for one in facts],
        note=SLIDES["print"],
        slides=slides,
        script=Markup(script),  # noqa: S704 - a file of this package
        script_digest=hash_script(script),
        style=Markup(environment.get_template("slides.css").render()),  # noqa: S704 - a file of this package
    )


def _build_figure_slides(title: Bilingual, facts: Sequence[WeekFacts]) -> list[Slide]:
    return [
        Slide(
            Bilingual(f"{title.en}: {one.title.en}", f"{title.zh}：{one.title.zh}"),
            _build_slide_figures(one.figures),
        )
        for one in facts
        if one.figures
    ]


def _build_slide_figures(metrics: Sequence[StageMetric]) -> list[Figure]:
    return [
        Figure(get_metric_title(metric).title, format_metric(metric), format_interval(metric))
        for metric in metrics[:_FIGURES]
    ]
