"""The documents of a defence, written as files: technical document, slides, cards and retrospective."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from practicum_core.atomic import write_text_atomic
from practicum_core.stages.capstone import CapstoneRecord
from practicum_jobs.capstone.cards import build_data_card, build_model_card
from practicum_jobs.capstone.facts import gather_facts
from practicum_jobs.capstone.retrospective import build_retrospective
from practicum_jobs.capstone.slides import build_slides
from practicum_jobs.capstone.technical import build_technical_document
from practicum_jobs.capstone.weeks import Week


def write_documents(weeks: Sequence[Week], record: CapstoneRecord, folder: Path) -> list[tuple[Path, str]]:
    """Write the documents into a folder; return each with what it is.

    Args:
        weeks: The weeks, in the order of the course.
        record: The check of their chain.
        folder: Made where it is missing.

    Raises:
        PlatformError: A file could not be written.
    """
    facts = gather_facts(weeks)
    documents = [
        ("technical-document.html", build_technical_document(facts, record), "technical document"),
        ("slides.html", build_slides(facts, record), "slides; printed, one a sheet"),
        ("retrospective.html", build_retrospective(facts, record), "retrospective"),
        ("model-card.md", build_model_card(facts), "model card"),
        ("data-card.md", build_data_card(facts), "data card"),
    ]
    written = []
    for name, text, note in documents:
        path = folder / name
        write_text_atomic(path, text)
        written.append((path, note))
    return written
