"""Decides the one internal shape of a data row, whatever file format it came from."""

from __future__ import annotations

from typing import Literal

from pydantic import BaseModel, ConfigDict, Field

Role = Literal["system", "user", "assistant", "tool"]


class Message(BaseModel):
    """One turn of a dialogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    content: str


class Row(BaseModel):
    """One example.

    ``messages`` is the prompt and ends with a user turn; ``answer`` is what the model should say.
    Preference pairs carry the rejected answer too.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    messages: list[Message] = Field(min_length=1)
    answer: str
    rejected: str | None = None
    task: str = Field(default="", description="What the row asks for, such as extract or question; picks the scorer.")
    language: str = Field(default="", description="en or zh where it is known.")
    group: str = Field(default="", description="Rows of one template or passage share it; intervals cluster by it.")
