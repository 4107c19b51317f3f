"""How an answer is scored: the scorers that a row or an evaluation may choose, with their options."""

from __future__ import annotations

import re
from typing import Annotated, Any, Literal

from pydantic import BaseModel, ConfigDict, Field, field_validator, model_validator

ScorerName = Literal["auto", "json", "text", "numeric", "chrf", "rouge"]
"""Scorers that need no option, for rows that choose none; ``auto`` tells by the expected answer."""


class ScorerOptions(BaseModel):
    """What all scorers have in common."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    until: tuple[str, ...] = Field(default=(), description="The answer is cut before the first of these texts.")


class JsonScorer(ScorerOptions):
    """The answer is one JSON object with the expected keys and values; each field is also scored for itself."""

    kind: Literal["json"] = "json"


class TextScorer(ScorerOptions):
    """The answer is the expected text; case, character width, outer punctuation and white space are ignored."""

    kind: Literal["text"] = "text"


class RegexScorer(ScorerOptions):
    """What a pattern finds in the answer is the expected text; an expected text that is empty needs a find only."""

    kind: Literal["regex"] = "regex"
    pattern: str = Field(min_length=1, max_length=1000, description="With at most one group, which is compared.")
    take: Literal["first", "last"] = Field(default="first", description="Which find counts.")

    @field_validator("pattern")
    @classmethod
    def _check_pattern(cls, pattern: str) -> str:
        try:
            compiled = re.compile(pattern)
        except re.error as error:
            raise ValueError(f"no regular expression: {error}") from error
        if compiled.groups > 1:
            raise ValueError(f"the pattern has {compiled.groups} groups; mark the others with (?:...)")
        return pattern


class NumericScorer(ScorerOptions):
    """A number of the answer equals the expected one."""

    kind: Literal["numeric"] = "numeric"
    take: Literal["first", "last"] = Field(default="last", description="Which number of the answer counts.")
    absolute: float = Field(default=0.0, ge=0, allow_inf_nan=False, description="Allowed difference.")
    relative: float = Field(default=1e-9, ge=0, lt=1, description="Allowed difference as a share of the expected one.")


class ChrfScorer(ScorerOptions):
    """chrF of sacrebleu: overlap of character n-grams, which works for Chinese without a tokenizer."""

    kind: Literal["chrf"] = "chrf"
    word_order: int = Field(default=0, ge=0, le=2, description="0 is chrF, 2 is chrF++.")
    threshold: float = Field(default=0.5, ge=0, le=1, description="Score from which an answer counts as right.")


class RougeScorer(ScorerOptions):
    """ROUGE F1 of rouge-score; Chinese characters count as words."""

    kind: Literal["rouge"] = "rouge"
    variant: Literal["rouge1", "rouge2", "rougeL"] = "rougeL"
    threshold: float = Field(default=0.5, ge=0, le=1, description="Score from which an answer counts as right.")


class SchemaScorer(ScorerOptions):
    """The answer is JSON that a JSON Schema (draft 2020-12) accepts; the expected answer is not compared."""

    kind: Literal["schema"] = "schema"
    json_schema: dict[str, Any]


class UnitTestScorer(ScorerOptions):
    """The answer is Python code that passes tests. It runs only if the evaluation has ``run_code``."""

    kind: Literal["unit_test"] = "unit_test"
    tests: str = Field(min_length=1, description="Python code that follows the answer; an exception fails it.")
    timeout_s: float = Field(default=10.0, gt=0, le=300)
    memory_mib: int = Field(default=512, ge=64, le=16_384)


class ChoiceScorer(ScorerOptions):
    """Log-probability multiple choice: the model answers what it finds most probable among the choices."""

    kind: Literal["choice"] = "choice"
    choices: tuple[str, ...] = Field(min_length=2)
    per_byte: bool = Field(default=False, description="Whether log-probabilities are divided by the choice's bytes.")

    @model_validator(mode="after")
    def _check_choices(self) -> ChoiceScorer:
        if len(set(self.choices)) < len(self.choices) or "" in self.choices:
            raise ValueError("choices must differ and not be empty")
        if self.until:
            raise ValueError("a choice is not generated, so until cuts nothing")
        return self


Scorer = Annotated[
    JsonScorer
    | TextScorer
    | RegexScorer
    | NumericScorer
    | ChrfScorer
    | RougeScorer
    | SchemaScorer
    | UnitTestScorer
    | ChoiceScorer,
    Field(discriminator="kind"),
]
