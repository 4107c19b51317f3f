"""Configuration and record of the stage ``inference``: exported files answer held-out prompts in a fresh process."""

from __future__ import annotations

from collections.abc import Sequence

from pydantic import Field

from practicum_core.stages.base import ModelUri, OptionalAdapterUri, StageConfig, StageRecord
from practicum_core.stages.samples import Sample, SampleGroup, SampleText, list_nonempty
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual


class InferenceConfig(StageConfig):
    """Which exports to load."""

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the base model.")
    adapter: OptionalAdapterUri = Field(
        default="run:stages/sft/artifacts/adapter", description="Exported adapter, if any."
    )
    merged: ModelUri = Field(default="run:stages/sft/artifacts/merged", description="Exported stand-alone model.")
    split: str = "validation"
    num_prompts: int = Field(default=8, ge=1)
    batch_size: int = Field(default=16, ge=1)
    max_new_tokens: int = Field(default=64, ge=1)

    def list_splits(self) -> tuple[str, ...]:
        """List the split whose prompts are answered."""
        return (self.split,)


class InferenceRecord(StageRecord):
    """Whether adapter and merged model say the same."""

    num_prompts: int
    predictions_sha256: str = Field(description="Hash of every answer of both exports, in row order.")
    adapter_sha256: str = Field(default="", description="Of the adapter's files; empty where none was exported.")
    merged_sha256: str = Field(default="", description="Of the merged model's files; empty where none was exported.")
    dtype: str = Field(default="", description="Number format that answers were computed in.")
    device: str = ""
    num_threads: int = Field(default=0, description="Threads per operation; bit-equality holds for equal counts.")


class ExportSample(Sample):
    """What both exports answered."""

    adapter: str = ""
    merged: str = ""

    def list_texts(self) -> list[SampleText]:
        """List the prompt and both answers."""
        return [*super().list_texts(), SampleText(_ADAPTER, self.adapter), SampleText(_MERGED, self.merged)]


_ADAPTER = Bilingual("Adapter", "适配器")
_MERGED = Bilingual("Merged model", "合并模型")
_DISAGREE = Bilingual("Adapter and merged model differ", "适配器与合并模型回答不同")
_AGREE = Bilingual("Adapter and merged model agree", "适配器与合并模型回答一致")


def group_samples(samples: Sequence[ExportSample]) -> list[SampleGroup]:
    """Tell the prompts that the exports answer differently from the others."""
    return list_nonempty(
        SampleGroup(_DISAGREE, "bad", [one for one in samples if one.adapter != one.merged]),
        SampleGroup(_AGREE, "plain", [one for one in samples if one.adapter == one.merged]),
    )


SAMPLES = SampleSpec(ExportSample, group_samples)

METRICS = {
    "agreement": key_figure("Adapter and merged model agree", "适配器与合并模型一致率", "share"),
    "num_prompts": figure("Prompts", "提示词数", "count"),
}
FAILURES = {
    "exports_differ": Bilingual("exports differ", "导出结果不一致"),
    "no_stop": Bilingual("answer did not end", "回答未正常结束"),
}
SPEC = StageSpec(
    "inference",
    Bilingual("loads the exported files in a fresh process and answers prompts", "在新进程中加载导出文件并作答"),
    "train",
    InferenceConfig,
    InferenceRecord,
    uses_gpu=True,
    samples=SAMPLES,
    metrics=METRICS,
    failures=FAILURES,
)
