"""Counts of prompts whose token ids an engine showed, which records and reports share."""

from __future__ import annotations

from pydantic import BaseModel, ConfigDict, Field


class PromptCheck(BaseModel):
    """How many prompts an engine processed as the token ids that were meant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    num_prompts: int = Field(default=0, ge=0)
    num_same: int = Field(default=0, ge=0, description="Prompts that the engine showed, with the ids that were meant.")
    num_not_shown: int = Field(default=0, ge=0, description="Prompts of which the engine does not show its token ids.")
    first_difference: str = Field(default="", description="Where the first prompt with other ids differs.")

    @property
    def num_different(self) -> int:
        """Number of prompts that the engine showed with other token ids."""
        return self.num_prompts - self.num_same - self.num_not_shown

    @property
    def is_shown(self) -> bool:
        """Whether the engine showed the token ids of every prompt, and all are the ones that were meant."""
        return 0 < self.num_prompts == self.num_same
