"""The lines of the sheet, from what was measured. Pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from practicum_core.rows import Row
from practicum_core.stages.prompts import PromptCheck
from practicum_core.stages.quantcheck import ORIGINAL, SPEC, Flip, SheetRow
from practicum_core.stages.quantize import QuantizedModel
from practicum_jobs.models.prompts import compare_prompts
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.quantcheck.judgement import TaskScores, find_front, judge_task
from practicum_jobs.quantcheck.measurement import Measurement
from practicum_jobs.quantcheck.processes import Probed
from practicum_jobs.scoring.scorers import refuse_other_than_text, score_row

_NUM_TEMPLATED = 16
"""Conversations for which engines apply their own chat template: each is one more prompt to process."""


@dataclass(frozen=True)
class Question:
    """One row that is answered.

    Attributes:
        task: What it counts for.
        row: The row.
        is_control: Whether it asks for general knowledge: right where the answer names what is expected.
    """

    task: str
    row: Row
    is_control: bool = False

    @property
    def cluster(self) -> str:
        """What it shares with other rows of the task; the few kinds of control items were chosen, not drawn."""
        return self.row.group if self.row.group and not self.is_control else f"row:{self.row.id}"

    def is_right(self, answer: str) -> bool:
        """Whether an answer counts as right."""
        score = score_row(self.row, answer)
        return score.is_mentioned if self.is_control else score.is_exact


class Questions:
    """The rows that every artifact answers: prompts as token ids, rendered once by the original's chat template.

    Args:
        rows: The rows.
        tokenizer: Of the original.

    Raises:
        DataError: A row's scorer needs more than a generated text.
    """

    def __init__(self, rows: Sequence[Question], tokenizer: ChatTokenizer) -> None:
        refuse_other_than_text((one.row for one in rows), SPEC.name)
        self.rows = rows
        self._tokenizer = tokenizer
        self.prompts = [tokenizer.encode_prompt(one.row) for one in rows]
        plain = [place for place, one in enumerate(rows) if not one.row.tools]
        self._templated = plain[:: max(1, len(plain) // _NUM_TEMPLATED)][:_NUM_TEMPLATED]

    @property
    def tasks(self) -> list[str]:
        """Names of the tasks, in the order of the rows."""
        return list(dict.fromkeys(one.task for one in self.rows))

    def read_answers(self, measurement: Measurement | None) -> dict[str, str]:
        """Return the text of each answer by the row's id; nothing where there are no answers."""
        if measurement is None or not measurement.answers:
            return {}
        texts = [self._tokenizer.decode(ids) for ids in measurement.answers]
        return {one.row.id: text for one, text in zip(self.rows, texts, strict=True)}

    @property
    def conversations(self) -> list[list[dict[str, Any]]]:
        """Turns of some prompts without tools, for which engines apply the chat template in an artifact."""
        return [[message.build_turn() for message in self.rows[place].row.messages] for place in self._templated]

    def check_prompts(self, measurement: Measurement | None) -> PromptCheck:
        """Compare the token ids that an engine processed with the prompts; nothing where there are no answers."""
        if measurement is None or not measurement.answers:
            return PromptCheck()
        return compare_prompts(self.prompts, measurement.prompt_token_ids)

    def check_template(self, measurement: Measurement | None) -> PromptCheck:
        """Compare the token ids that an engine made of conversations with the prompts that the original makes."""
        if measurement is None or not measurement.answers:
            return PromptCheck()
        return compare_prompts([self.prompts[place] for place in self._templated], measurement.conversation_token_ids)

    def score(self, measurement: Measurement | None) -> list[bool]:
        """Return whether each answer is right; nothing where there are no answers."""
        answers = self.read_answers(measurement)
        return [one.is_right(answers[one.row.id]) for one in self.rows] if answers else []

    def list_flips(self, original: Measurement | None, artifact: Measurement | None) -> list[tuple[Row, Flip]]:
        """List the rows that one of both answers right and the other wrong; nothing where one has no answers."""
        before, after = self.score(original), self.score(artifact)
        if not before or not after:
            return []
        pairs = zip(self.rows, before, after, strict=True)
        return [
            (one.row, "lost" if was_right else "gained") for one, was_right, is_right in pairs if was_right != is_right
        ]


def build_rows(
    probed: Mapping[str, Probed],
    made: Mapping[str, QuantizedModel | None],
    sizes: Mapping[str, int],
    questions: Questions,
    margin: float,
) -> list[SheetRow]:
    """Return the original's line and one for each artifact, with deltas, verdicts and the Pareto front."""
    right = {name: questions.score(one.measurement) for name, one in probed.items()}
    scores = _split_by_task(right, questions)
    rows = [_build_row(name, one, made[name], sizes[name]) for name, one in probed.items()]
    rows = [
        row.model_copy(
            update={
                "prompts": questions.check_prompts(probed[row.name].measurement),
                "chat_template": questions.check_template(probed[row.name].measurement),
                "tasks": [
                    judge_task(task, per_task, row.name, margin)
                    for task, per_task in scores.items()
                    if row.name != ORIGINAL and right[row.name] and right[ORIGINAL]
                ],
            }
        )
        for row in rows
    ]
    front = find_front({row.name: (row.disk_bytes, row.fidelity.kl_mean) for row in rows if row.fidelity})
    return [row.model_copy(update={"is_on_front": row.name in front}) for row in rows]


def _split_by_task(right: Mapping[str, Sequence[bool]], questions: Questions) -> dict[str, TaskScores]:
    scores = {}
    for task in questions.tasks:
        places = [place for place, one in enumerate(questions.rows) if one.task == task]
        clusters = [questions.rows[place].cluster for place in places]
        scores[task] = TaskScores(
            {name: [one[place] for place in places] for name, one in right.items() if one}, clusters
        )
    return scores


def _build_row(name: str, probed: Probed, made: QuantizedModel | None, size: int) -> SheetRow:
    measured = probed.measurement
    notes = [probed.problem] if probed.problem else []
    fields = {
        "name": name,
        "engine": made.engine if made else "vllm",
        "bits_per_weight": made.bits_per_weight if made else None,
        "disk_bytes": size,
        "make_s": made.make_s if made else None,
        "calibration_rows": made.calibration_rows if made else 0,
        "fidelity": (measured.fidelity if measured else None) or (made.fidelity if made else None),
        "notes": notes,
    }
    if measured is None:
        return SheetRow(**fields)
    return SheetRow(
        **fields,
        kernel=measured.kernel,
        load_s=measured.load_s,
        baseline_bytes=measured.baseline_bytes,
        resident_bytes=measured.resident_bytes,
        peak_bytes=measured.peak_bytes,
        vram_bytes=measured.vram_bytes,
        ttft_s=measured.ttft_s,
        tpot_s=measured.tpot_s,
        tokens_per_s={
            str(rate.concurrency): round(rate.num_tokens / rate.seconds, 2) for rate in measured.rates if rate.seconds
        },
    )
