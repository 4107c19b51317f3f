"""Configuration and record of the stage ``evaluate``: one model on the benchmark, or two paired."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Annotated, Literal

from pydantic import Field, field_validator, model_validator

from practicum_core.metrics import Metric
from practicum_core.scorers import ScorerName
from practicum_core.stages.base import USES_EARLIER_WORK, ModelUri, OptionalModelUri, StageConfig, StageRecord
from practicum_core.stages.evaluation_titles import FAILURES, METRICS
from practicum_core.stages.prompts import PromptCheck
from practicum_core.stages.samples import (
    ANSWER,
    Sample,
    SampleGroup,
    SampleText,
    describe_failure,
    judge,
    list_nonempty,
)
from practicum_core.stages.server_addresses import check_server_address
from practicum_core.stages.spec import SampleSpec, StageSpec
from practicum_core.texts import Bilingual

Finish = Literal["stop", "length"]
EngineName = Literal["transformers", "vllm", "llama_cpp", "openai"]
DtypeName = Literal["auto", "float32", "bfloat16", "float16"]
_ENGINES_WITH_DTYPE = frozenset({"transformers", "vllm"})
_ENVIRONMENTS: Mapping[EngineName, str] = {
    "transformers": "train",
    "vllm": "serve",
    "llama_cpp": "serve",
    "openai": "base",
}
_SEEN_SPLITS = frozenset({"train", "validation"})


class EvaluateConfig(StageConfig):
    """What to evaluate, on what, and how answers are generated (greedily)."""

    model: ModelUri = Field(default="builtin:smollm2-135m", description="URI of the base model.")
    candidate: OptionalModelUri = Field(
        default=None, description="Model held against the base, row by row: a URI, or run:PATH inside the run."
    )
    split: str = Field(
        default="test",
        description="Split of the data that is scored; train and validation, which made the model, are not.",
    )
    control_split: str | None = Field(default=None, description="Split whose answers must not get worse.")
    limit: int | None = Field(default=None, ge=1, description="Rows at most, the first ones; all without it.")
    control_limit: int | None = Field(default=None, ge=1, description="Rows of the control split at most.")
    engine: EngineName = Field(
        default="transformers",
        description="What answers: transformers; vllm, also a folder; llama_cpp, a GGUF file; openai, a server.",
    )
    dtype: DtypeName = Field(
        default="auto",
        description="Number format of transformers and vllm; auto is bfloat16 for vllm and on a GPU, else float32.",
    )
    tokenizer: OptionalModelUri = Field(
        default=None, description="Model whose tokenizer and chat template make the prompts; a GGUF file needs it."
    )
    base_url: str | None = Field(default=None, description="Address of the server, such as step:serve or a URL.")
    candidate_url: str | None = Field(default=None, description="Address of the candidate's server, if it is another.")
    served_model: str | None = Field(default=None, description="Name of the base at the server; the first one without.")
    candidate_served_model: str | None = Field(default=None, description="Name of the candidate at its server.")
    api_key_env: str | None = Field(default=None, description="Environment variable that holds the server's key.")
    batch_size: int = Field(default=32, ge=1, description="Rows per batch, or requests at the same time.")
    max_new_tokens: int = Field(default=64, ge=1)
    confidence: float = Field(default=0.95, ge=0.95, le=0.9999, description="Of intervals; gates ask for 95% at least.")
    bootstrap_resamples: int = Field(default=2000, ge=100, le=1_000_000)
    scorer: ScorerName = Field(default="auto", description="Scorer of rows that choose none of their own.")
    repeat_rows: int = Field(
        default=0,
        ge=0,
        description="Rows of the scored split that the base model answers a second time, in batches of half the size: "
        "what differs is noise. Answers that are kept from other runs are not used for it.",
    )
    run_code: bool = Field(
        default=False, description="Whether answers that a row scores by unit tests may run on this machine."
    )
    reuse_answers: Annotated[bool, USES_EARLIER_WORK] = Field(
        default=True,
        description="Whether an answer of another run is taken where model, engine, sampling and prompt are the same; "
        "without, base and candidate are asked anew even if they are one model, which shows the noise of an engine.",
    )

    @field_validator("split")
    @classmethod
    def _refuse_seen_rows(cls, split: str) -> str:
        """Refuse what a model was trained on or chosen by: every gate over an evaluation is about unseen rows."""
        if split in _SEEN_SPLITS:
            raise ValueError(f"models are made with the split {split}: score rows that none has seen, such as test")
        return split

    @field_validator("base_url", "candidate_url")
    @classmethod
    def _refuse_secrets(cls, url: str | None) -> str | None:
        """Refuse an address that is none, or that holds a password or a key: the configuration is recorded."""
        return None if url is None else check_server_address(url, "api_key_env")

    @model_validator(mode="after")
    def _check_engine(self) -> EvaluateConfig:
        """Refuse options that the engine does not know, and a server without an address."""
        of_server = ("base_url", "candidate_url", "served_model", "candidate_served_model", "api_key_env")
        if self.engine == "openai":
            if self.base_url is None:
                raise ValueError("engine openai needs base_url, the address of the server")
            is_same = (self.candidate_url or self.base_url, self.candidate_served_model or self.served_model) == (
                self.base_url,
                self.served_model,
            )
            if self.candidate is not None and is_same:
                raise ValueError("both models are one served model: give candidate_url or candidate_served_model")
        elif any(getattr(self, name) is not None for name in of_server):
            named = next(name for name in of_server if getattr(self, name) is not None)
            raise ValueError(f"{named} belongs to engine openai, and the engine is {self.engine}")
        if self.dtype != "auto" and self.engine not in _ENGINES_WITH_DTYPE:
            raise ValueError(f"engine {self.engine} has no choice of dtype")
        return self

    def list_splits(self) -> tuple[str, ...]:
        """List the splits that are scored."""
        return (self.split, self.control_split) if self.control_split else (self.split,)


class EvaluateRecord(StageRecord):
    """Scores with intervals; per-row results lie in ``samples.jsonl``."""

    num_rows: int
    num_control_rows: int = 0
    model: str
    candidate: str | None = None
    data_sha256: str = Field(description="Content hash of the scored split.")
    control_sha256: str = Field(default="", description="Content hash of the control split, where one was scored.")
    model_sha256: str = Field(default="", description="Of the base model's files, as in model.lock.json.")
    candidate_sha256: str = Field(default="", description="Of the candidate's files.")
    predictions_sha256: str = Field(description="Hash of every answer, in row order; equal for bit-equal runs.")
    prompts_sha256: str = Field(default="", description="Hash of the token ids of every prompt, as the base got them.")
    candidate_prompts_sha256: str = Field(default="", description="The same for the candidate.")
    prompt_check: PromptCheck = Field(
        default_factory=PromptCheck, description="Whether the engine showed which token ids it processed."
    )
    sampling: str = Field(default="", description="How tokens were chosen, and how many at most.")
    scorer: str = Field(default="", description="Scorer of rows that choose none of their own.")
    engine: str = Field(default="transformers", description="What generated the answers.")
    dtype: str = Field(default="", description="Number format that answers were computed in.")
    device: str = ""
    num_threads: int = Field(default=0, description="Threads per operation; bit-equality holds for equal counts.")


def describe_result(metrics: Mapping[str, Metric]) -> str:
    """Say by how much the tuned model beats the base model, with the interval; empty where none was tuned."""
    delta = metrics.get("exact_match_delta")
    if delta is None:
        return ""
    low, high = delta.low, delta.high
    interval = f" (95% interval {low:+.3f} to {high:+.3f})" if low is not None and high is not None else ""
    base, tuned = metrics.get("exact_match_base"), metrics.get("exact_match_tuned")
    levels = f": base {base.value:.3f}, tuned {tuned.value:.3f}" if base and tuned else ""
    verb = "beats" if (low if low is not None else delta.value) > 0 else "does not beat"
    gain = f"{delta.value:+.3f} exact match{interval}{levels}"
    return f"The tuned model {verb} the base model on the scored rows by {gain}"


class EvaluationSample(Sample):
    """The answers to one row: ``output`` of one model, or ``base`` and ``candidate`` of two.

    ``prompt_sha256`` is the hash of the prompt's token ids; the candidate's is there where it differs from the base's.
    ``fields`` says of each field of a JSON answer whether it is right; ``mentioned`` whether the answer names what is
    expected, whatever its form; ``finish`` why it ended: by itself, or at the limit of new tokens. ``cached`` marks an
    answer that was generated by an earlier run. ``score`` is the grade by a scorer that gives one. ``again`` is the
    base model's second answer to a row that it answered twice.
    """

    split: str = ""
    task: str = ""
    group: str = ""
    prompt_sha256: str = ""
    candidate_prompt_sha256: str = ""
    output: str | None = None
    correct: bool | None = None
    score: float | None = None
    failure: str = ""
    mentioned: bool | None = None
    fields: dict[str, bool] | None = None
    finish: Finish | None = None
    cached: bool = False
    base: str | None = None
    base_correct: bool | None = None
    base_score: float | None = None
    base_failure: str = ""
    base_mentioned: bool | None = None
    base_fields: dict[str, bool] | None = None
    base_finish: Finish | None = None
    base_cached: bool = False
    candidate: str | None = None
    candidate_correct: bool | None = None
    candidate_score: float | None = None
    candidate_failure: str = ""
    candidate_mentioned: bool | None = None
    candidate_fields: dict[str, bool] | None = None
    candidate_finish: Finish | None = None
    candidate_cached: bool = False
    again: str | None = None
    again_correct: bool | None = None
    again_score: float | None = None

    @property
    def is_paired(self) -> bool:
        """Whether two models answered."""
        return self.candidate is not None

    @property
    def outcome(self) -> tuple[bool, bool]:
        """Whether the base model, or the only one, was right, and whether the candidate was."""
        return bool(self.base_correct if self.correct is None else self.correct), bool(self.candidate_correct)

    def list_texts(self) -> list[SampleText]:
        """List the prompt, each answer as judged, and what is wrong with the last."""
        answers = [
            (ANSWER, self.output, self.correct, self.cached),
            (_BASE, self.base, self.base_correct, self.base_cached),
            (_TUNED, self.candidate, self.candidate_correct, self.candidate_cached),
        ]
        shown = [
            SampleText(_KEPT.format(model=label) if is_cached else label, text, judge(is_right))
            for label, text, is_right, is_cached in answers
            if text is not None
        ]
        return super().list_texts() + shown + describe_failure(self.candidate_failure or self.failure)


_BASE = Bilingual("Base model", "基座模型")
_TUNED = Bilingual("Tuned model", "微调模型")
_KEPT = Bilingual("{model} (kept from an earlier run)", "{model}（取自先前的运行）")
_LOSSES = Bilingual("Got worse after tuning", "微调后变差")
_WINS = Bilingual("Put right by the tuned model", "微调后答对")
_BOTH_WRONG = Bilingual("Wrong before and after", "前后都错")
_BOTH_RIGHT = Bilingual("Right before and after", "前后都对")
_WRONG = Bilingual("Answered wrong", "答错")
_RIGHT = Bilingual("Answered right", "答对")
_CONTROL_LOSSES = Bilingual("Control rows that got worse after tuning", "微调后变差的对照样本")
_CONTROL_REST = Bilingual("Other control rows", "其他对照样本")
_NO_LOSSES = Bilingual("Among the recorded samples none got worse after tuning.", "在记录的样本中，没有微调后变差的。")


def split_samples(
    samples: Sequence[EvaluationSample],
) -> tuple[list[EvaluationSample], list[EvaluationSample]]:
    """Separate the scored rows from the control rows: the split of the first sample is the scored one."""
    scored = [one for one in samples if one.split == samples[0].split]
    return scored, [one for one in samples if one.split != samples[0].split]


def group_samples(samples: Sequence[EvaluationSample]) -> list[SampleGroup]:
    """Group the rows by what tuning changed, the worse ones first; the control split comes last."""
    scored, control = split_samples(samples)
    worse = [one for one in control if one.base_mentioned and not one.candidate_mentioned]
    rest = [one for one in control if not (one.base_mentioned and not one.candidate_mentioned)]
    return _group_scored(scored) + list_nonempty(
        SampleGroup(_CONTROL_LOSSES, "bad", worse), SampleGroup(_CONTROL_REST, "plain", rest)
    )


def _group_scored(samples: Sequence[EvaluationSample]) -> list[SampleGroup]:
    if any(one.is_paired for one in samples):
        by_outcome = {
            outcome: [one for one in samples if one.outcome == outcome]
            for outcome in ((True, False), (False, True), (False, False), (True, True))
        }
        return list_nonempty(
            SampleGroup(_LOSSES, "bad", by_outcome[True, False]),
            SampleGroup(_WINS, "good", by_outcome[False, True]),
            SampleGroup(_BOTH_WRONG, "plain", by_outcome[False, False]),
            SampleGroup(_BOTH_RIGHT, "plain", by_outcome[True, True]),
        )
    return list_nonempty(
        SampleGroup(_WRONG, "bad", [one for one in samples if not one.outcome[0]]),
        SampleGroup(_RIGHT, "good", [one for one in samples if one.outcome[0]]),
    )


def explain_no_losses(samples: Sequence[EvaluationSample]) -> Bilingual | None:
    """Say of two models' answers that none got worse."""
    return _NO_LOSSES if any(one.is_paired for one in samples) else None


SAMPLES = SampleSpec(EvaluationSample, group_samples, explain_no_losses)


def _choose_environment(config: EvaluateConfig) -> str:
    return _ENVIRONMENTS[config.engine]


SPEC = StageSpec(
    "evaluate",
    Bilingual("scores answers on rows that were never trained on", "在未参与训练的样本上评分"),
    "train",
    EvaluateConfig,
    EvaluateRecord,
    uses_gpu=True,
    other_environments=("serve", "base"),
    choose_environment=_choose_environment,
    describe_result=describe_result,
    headlines=("exact_match", "exact_match_delta"),
    samples=SAMPLES,
    metrics=METRICS,
    failures=FAILURES,
)
