"""Configuration, record and samples of the stage ``quantcheck``: what each quantized file costs and what it loses."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.stages.base import ModelUri, StageConfig, StageRecord
from practicum_core.stages.prompts import PromptCheck
from practicum_core.stages.quantize import Fidelity
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, Tone, list_nonempty
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

ORIGINAL = "original"
Verdict = Literal["equivalent", "worse", "better", "unclear"]
Flip = Literal["lost", "gained"]
"""A row that the original answers right and the artifact wrong, or the other way round."""


class QuantcheckConfig(StageConfig):
    """Which artifacts are loaded, on what they are asked, and which difference matters."""

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the original model.")
    artifacts: ModelUri = Field(
        default="run:stages/quantize/artifacts", description="Folder that the stage quantize wrote."
    )
    split: str = Field(default="test", description="Split whose rows are answered by every artifact.")
    limit: int | None = Field(default=None, ge=1, description="Rows at most, the first ones; all without it.")
    control_split: str | None = Field(default="control", description="Split of general questions; none without it.")
    control_limit: int | None = Field(default=None, ge=1, description="Rows of the control split at most.")
    max_new_tokens: int = Field(default=64, ge=1)
    concurrency: tuple[int, ...] = Field(default=(1, 8, 32), min_length=1, description="Requests at the same time.")
    margin: float = Field(default=0.1, gt=0, lt=1, description="Largest difference that still counts as equal.")
    timeout_s: float = Field(default=900, gt=0, description="For one artifact; what it did not reach is not measured.")

    def list_splits(self) -> tuple[str, ...]:
        """List the splits that are answered."""
        return (self.split, self.control_split) if self.control_split else (self.split,)


class TaskDelta(BaseModel):
    """Artifact minus original on one task, row by row."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    num_items: int
    num_clusters: int
    original: float
    artifact: float
    difference: float
    low: float = Field(description="Lower end of the 90% interval that the equivalence test decides by.")
    high: float
    verdict: Verdict
    num_lost: int | None = Field(
        default=None, description="Items that only the original answers right; none in records of before the count."
    )
    num_gained: int | None = Field(default=None, description="Items that only the artifact answers right.")


class SheetRow(BaseModel):
    """One line of the sheet. ``None`` means not measured, and ``notes`` says why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    engine: str
    kernel: str = Field(default="", description="What computes the quantized layers.")
    bits_per_weight: float | None = None
    disk_bytes: int
    make_s: float | None = Field(default=None, description="Time to make it, calibration included.")
    calibration_rows: int = Field(default=0, description="Rows that it was calibrated with.")
    load_s: float | None = None
    baseline_bytes: int | None = Field(default=None, description="Memory of the process before the model is loaded.")
    resident_bytes: int | None = Field(default=None, description="Memory of the process with the model loaded.")
    peak_bytes: int | None = Field(default=None, description="Largest memory of the process while it answered.")
    vram_bytes: int | None = Field(
        default=None, description="GPU memory that loading and answering took; none without a GPU."
    )
    ttft_s: float | None = Field(default=None, description="Median time to the first token, one request at a time.")
    tpot_s: float | None = Field(default=None, description="Median time per further token, one request at a time.")
    tokens_per_s: dict[str, float] = Field(default_factory=dict, description="By requests at the same time.")
    prompts: PromptCheck = Field(
        default=PromptCheck(), description="Token ids that the engine says it processed, against those it was given."
    )
    chat_template: PromptCheck = Field(
        default=PromptCheck(),
        description="Token ids that the engine makes of messages by the template in the files, against the original's.",
    )
    fidelity: Fidelity | None = None
    tasks: list[TaskDelta] = Field(default_factory=list)
    is_on_front: bool = Field(default=False, description="No other line is both smaller and closer to the original.")
    notes: list[str] = Field(default_factory=list)


class Recommendation(BaseModel):
    """Which artifact to take for a task, and why."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    task: str
    name: str
    reason_en: str
    reason_zh: str


class SheetRecord(StageRecord):
    """A record with a sheet of artifacts, which the evidence pack shows."""

    rows: list[SheetRow] = Field(default_factory=list)
    recommendations: list[Recommendation] = Field(default_factory=list)
    margin: float


class QuantcheckRecord(SheetRecord):
    """What each artifact costs and loses."""

    model_sha256: str


class QuantcheckSample(Sample):
    """A row that flipped, or a text on which an artifact is far from the original, with the answers of both.

    ``kl`` is ``None`` where the distance was not measured; a text has no answers where it was not asked.
    """

    artifact: str = ""
    flip: Flip | None = None
    kl: float | None = None
    original: str | None = None
    answer: str | None = None

    def list_texts(self) -> list[SampleText]:
        """List the prompt, both answers and the distance."""
        answers = [(_ORIGINAL, self.original), (_QUANTIZED, self.answer)]
        shown = [SampleText(label, text) for label, text in answers if text is not None]
        distance = [] if self.kl is None else [SampleText(_DISTANCE, f"{self.kl:.2g}")]
        return [*super().list_texts(), *shown, *distance]


_ORIGINAL = Bilingual("Answer of the original", "原模型的回答")
_QUANTIZED = Bilingual("Answer of the quantized model", "量化模型的回答")
_DISTANCE = Bilingual("Mean KL divergence (nats a token)", "平均 KL 散度（nat/词元）")
_LOST = Bilingual("Right with the original, wrong with {name}", "原模型答对、{name} 答错")
_GAINED = Bilingual("Wrong with the original, right with {name}", "原模型答错、{name} 答对")
_WORST = Bilingual("Farthest from the original: {name}", "与原模型差异最大：{name}")
_GROUPS: tuple[tuple[Flip | None, Bilingual, Tone], ...] = (
    ("lost", _LOST, "bad"),
    ("gained", _GAINED, "good"),
    (None, _WORST, "plain"),
)


def group_samples(samples: Sequence[QuantcheckSample]) -> list[SampleGroup]:
    """Group the samples by artifact: what it lost, what it gained, and the texts on which it is farthest away."""
    names = dict.fromkeys(one.artifact for one in samples)
    return list_nonempty(
        *(
            SampleGroup(
                title.format(name=name), tone, [one for one in samples if (one.artifact, one.flip) == (name, flip)]
            )
            for name in names
            for flip, title, tone in _GROUPS
        )
    )


METRICS = {
    "num_rows": figure("Lines of the sheet", "对照表行数", "count"),
    "num_measured": key_figure("Artifacts that loaded and answered", "成功加载并作答的量化模型数", "count"),
    "num_unmeasured": figure("Artifacts that did not load or answer", "未能加载或作答的量化模型数", "count"),
    "prompt_differences": figure(
        "Prompts that an engine processed as other tokens", "引擎处理时词元不一致的提示词", "count"
    ),
    "prompts_not_shown": figure(
        "Prompts of which an engine does not show its tokens", "引擎未给出词元的提示词", "count"
    ),
    "template_differences": figure(
        "Conversations that an engine's own chat template renders otherwise",
        "引擎自带对话模板渲染结果不同的对话",
        "count",
    ),
    "num_recommended": figure("Tasks with a recommendation", "已给出建议的任务数", "count"),
    "kl_{rest}": figure("KL divergence from the original, {rest}", "相对原模型的 KL 散度，{rest}", "number"),
    "top1_{rest}": figure("Same most probable token, {rest}", "首选词元一致率，{rest}", "share"),
    "delta_{rest}": figure("Quantized minus original, {rest}", "量化减原模型，{rest}", "points"),
}
FAILURES = {
    "not_measured": Bilingual("not measured", "未测量"),
    "other_prompt": Bilingual("the engine processed other prompt tokens", "引擎处理的提示词词元不同"),
    "other_template": Bilingual(
        "the chat template in the files gives other tokens", "文件自带的对话模板给出不同的词元"
    ),
    "worse": Bilingual("worse than the original", "比原模型差"),
}
SPEC = StageSpec(
    "quantcheck",
    Bilingual("loads each quantized file with its engine and measures it", "用对应引擎加载每个量化文件并测量"),
    "serve",
    QuantcheckConfig,
    QuantcheckRecord,
    program="practicum_jobs.quantcheck.stage",
    samples=SampleSpec(QuantcheckSample, group_samples),
    metrics=METRICS,
    failures=FAILURES,
    headlines=("num_measured",),
)
