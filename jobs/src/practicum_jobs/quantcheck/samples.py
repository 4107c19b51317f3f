"""The samples of the sheet: rows whose answer became right or wrong, and texts far from the original. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from practicum_core.stages.quantcheck import ORIGINAL, QuantcheckSample, SheetRow
from practicum_core.stages.quantize import FidelityText
from practicum_jobs.quantcheck.processes import Probed
from practicum_jobs.quantcheck.sheet import Questions

_NUM_WORST = 10


def list_samples(
    rows: Sequence[SheetRow], texts: Sequence[FidelityText], probed: Mapping[str, Probed], questions: Questions
) -> list[QuantcheckSample]:
    """List, for each artifact, every row that flipped and the ten texts on which it is farthest from the original."""
    answers = {name: questions.read_answers(one.measurement) for name, one in probed.items()}
    by_id = {text.id: text for text in texts}
    artifacts = [row for row in rows if row.name != ORIGINAL]
    return [
        sample
        for row in artifacts
        for sample in (*_list_flips(row, probed, questions, answers), *_list_worst(row, by_id, answers))
    ]


def _list_flips(
    row: SheetRow, probed: Mapping[str, Probed], questions: Questions, answers: Mapping[str, Mapping[str, str]]
) -> list[QuantcheckSample]:
    distances = row.fidelity.kl_by_text if row.fidelity else {}
    flips = questions.list_flips(probed[ORIGINAL].measurement, probed[row.name].measurement)
    return [
        QuantcheckSample(
            id=asked.id,
            prompt=asked.messages[-1].content,
            expected=asked.answer,
            artifact=row.name,
            flip=flip,
            kl=distances.get(asked.id),
            original=answers[ORIGINAL][asked.id],
            answer=answers[row.name][asked.id],
        )
        for asked, flip in flips
    ]


def _list_worst(
    row: SheetRow, by_id: Mapping[str, FidelityText], answers: Mapping[str, Mapping[str, str]]
) -> list[QuantcheckSample]:
    distances = row.fidelity.kl_by_text if row.fidelity else {}
    worst = sorted(distances.items(), key=lambda pair: -pair[1])[:_NUM_WORST]
    return [
        QuantcheckSample(
            id=text_id,
            prompt=by_id[text_id].prompt,
            expected=by_id[text_id].expected,
            artifact=row.name,
            kl=kl,
            original=answers[ORIGINAL].get(text_id),
            answer=answers[row.name].get(text_id),
        )
        for text_id, kl in worst
    ]
