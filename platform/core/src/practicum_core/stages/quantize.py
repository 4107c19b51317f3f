"""Configuration, record and manifest of the stage ``quantize``: smaller files of one model, in several formats."""

from __future__ import annotations

from typing import Literal, get_args

from pydantic import BaseModel, ConfigDict, Field, field_validator

from practicum_core.stages.base import ModelUri, OptionalDataUri, StageConfig, StageRecord
from practicum_core.stages.spec import Export, StageSpec
from practicum_core.stages.titles import figure, key_figure
from practicum_core.texts import Bilingual

FormatName = Literal["gguf-f16", "gguf-q8_0", "gguf-q4_k_m", "int8", "fp8", "gptq", "awq", "nf4"]
EngineName = Literal["vllm", "llama.cpp", "transformers"]
FORMATS: tuple[FormatName, ...] = get_args(FormatName)
MANIFEST = "manifest.json"
"""In the folder of the artifacts: what was made, and the texts that fidelity is measured on."""


class QuantizeConfig(StageConfig):
    """Which model, which formats, and what calibrates them."""

    model: ModelUri = Field(
        default="builtin:smollm2-135m", description="URI of the model; a merged one, not an adapter."
    )
    formats: tuple[FormatName, ...] = Field(
        default=FORMATS, min_length=1, description="Made in this order; fp8 has a fast kernel on newer GPUs only."
    )
    calibration_split: str = Field(default="train", description="Split whose first rows calibrate gptq and awq.")
    gptq_rows: int = Field(default=64, ge=4, description="Rows that gptq is calibrated with.")
    awq_rows: int = Field(default=16, ge=4, description="Rows that awq is calibrated with.")
    awq_grid: int = Field(default=10, ge=3, le=40, description="Scales that awq tries per layer.")
    min_tokens: int = Field(default=16, ge=1, description="A calibration row with fewer tokens says too little.")
    max_tokens: int = Field(default=256, ge=16, description="Longer calibration rows and texts are cut.")
    split: str = Field(default="test", description="Split whose rows must not be in the calibration set.")
    num_texts: int = Field(default=16, ge=1, description="Texts per language on which fidelity is measured.")
    extra_texts: OptionalDataUri = Field(
        default="builtin:tickets?language=zh&rows=400",
        description="Data set whose test split adds texts in another language; none without it.",
    )

    @field_validator("formats")
    @classmethod
    def _refuse_repeats(cls, formats: tuple[FormatName, ...]) -> tuple[FormatName, ...]:
        if len(set(formats)) < len(formats):
            raise ValueError("a format is named twice")
        return formats

    def list_splits(self) -> tuple[str, ...]:
        """List the split that calibrates and the one that must not."""
        return (self.calibration_split, self.split)


class Fidelity(BaseModel):
    """How close the probabilities of an artifact are to those of the original in float32, on the same texts."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    engine: str = Field(description="What computed the logits of the artifact.")
    num_tokens: int
    kl_mean: float = Field(description="Mean of KL(original || artifact) over the positions, in nats.")
    top1_agreement: float = Field(description="Share of positions with the same most probable token.")
    perplexity: dict[str, float] = Field(description="By language.")
    kl_by_text: dict[str, float] = Field(default_factory=dict, description="Mean over a text's positions, by its id.")


class FidelityText(BaseModel):
    """A conversation with its answer, rendered by the model's own chat template."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    language: str
    token_ids: list[int]
    prompt: str
    expected: str


class QuantizedModel(BaseModel):
    """An artifact: a file or folder that an engine loads."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: FormatName
    path: str = Field(description="Relative to the folder of the artifacts.")
    engine: EngineName
    sha256: str
    disk_bytes: int
    weight_bytes: int = Field(description="Of the tensors alone, without tokenizer and metadata.")
    bits_per_weight: float = Field(description="8 * weight_bytes / parameters of the original.")
    types: dict[str, int] = Field(description="Number of tensors by number format.")
    make_s: float = Field(description="Time to make it, calibration included; of the run that made it.")
    is_cached: bool = Field(description="Whether an earlier run made it of the same model in the same way.")
    calibration_rows: int = 0
    num_tokenizer_differences: int = Field(
        default=0, description="Texts that the tokenizer in the file reads differently."
    )
    fidelity: Fidelity | None = None
    notes: list[str] = Field(default_factory=list)


class Manifest(BaseModel):
    """What a stage that checks the artifacts needs to know of them."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    model: str = Field(description="URI of the original.")
    model_sha256: str
    num_parameters: int
    bits_per_weight: float = Field(description="Of the original's files.")
    artifacts: list[QuantizedModel]
    texts: list[FidelityText]


class QuantizeRecord(StageRecord):
    """What was made of which model, and with which rows."""

    model: str
    model_sha256: str
    calibration_sha256: str = Field(default="", description="Of the token ids of the calibration rows.")
    calibration_rows: int = 0
    made: list[QuantizedModel]


METRICS = {
    "num_formats": key_figure("Formats made", "生成的格式数", "count"),
    "calibration_rows": figure("Calibration rows", "校准样本数", "count"),
    "calibration_leaks": figure("Test rows in the calibration set", "校准集中的测试样本", "count"),
    "tokenizer_differences": figure(
        "Texts that llama.cpp tokenizes differently", "llama.cpp 分词结果不同的文本", "count"
    ),
    "bits_per_weight_{rest}": figure("Bits per weight, {rest}", "每权重比特数，{rest}", "number"),
    "make_s_{rest}": figure("Time to make {rest}", "生成 {rest} 的耗时", "seconds"),
}
FAILURES = {
    "calibration_leak": Bilingual("a test row is in the calibration set", "校准集中含有测试样本"),
    "tokenizer_differs": Bilingual("another tokenization in llama.cpp", "llama.cpp 的分词结果不同"),
    "fallback_types": Bilingual("many tensors do not fit the chosen K-quant", "许多张量不适用所选的 K 量化"),
}
SPEC = StageSpec(
    "quantize",
    Bilingual("makes smaller files of one model in several formats", "将一个模型量化为多种格式"),
    "quantize",
    QuantizeConfig,
    QuantizeRecord,
    uses_gpu=True,
    exports={name: Export(f"artifacts/{name}", "model") for name in FORMATS},
    metrics=METRICS,
    failures=FAILURES,
    headlines=("num_formats",),
)
