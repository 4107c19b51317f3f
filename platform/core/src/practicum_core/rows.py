"""The model of a data row. Rows of all file formats are converted to it.

Unset fields are not written, so that the bytes and the hashes of frozen rows stay the same if a field is added here.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.scorers import Scorer

Role = Literal["system", "user", "assistant", "tool"]


_NUM_REQUIRED = 2


def _is_unset(value: object) -> bool:
    return value is None or value == ()


class ToolCall(BaseModel):
    """One call of a tool by the assistant."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    name: str
    arguments: str = Field(description="JSON text; any other text is kept as the data has it.")
    id: str | None = Field(default=None, exclude_if=_is_unset)

    def build_turn_part(self) -> dict[str, Any]:
        """Return the call as an entry of a turn's ``tool_calls``."""
        try:
            arguments = json.loads(self.arguments)
        except (ValueError, RecursionError):
            arguments = self.arguments
        named = {"id": self.id} if self.id else {}
        return {**named, "type": "function", "function": {"name": self.name, "arguments": arguments}}


class Message(BaseModel):
    """One turn of a dialogue."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    role: Role
    content: str
    reasoning_content: str | None = Field(
        default=None, exclude_if=_is_unset, description="Reasoning of the assistant before its answer."
    )
    tool_calls: tuple[ToolCall, ...] = Field(default=(), exclude_if=_is_unset)
    tool_call_id: str | None = Field(default=None, exclude_if=_is_unset, description="Id of the call that it answers.")
    name: str | None = Field(default=None, exclude_if=_is_unset, description="Name of the speaker or of the tool.")

    @property
    def is_plain(self) -> bool:
        """Whether the turn has only a role and content."""
        # Role and content are required, so a turn with no more than two set fields has nothing else.
        is_small = len(self.model_fields_set) <= _NUM_REQUIRED
        return is_small or not (self.reasoning_content or self.tool_calls or self.tool_call_id or self.name)

    def build_turn(self) -> dict[str, Any]:
        """Return the turn as chat templates take it: tool calls as OpenAI writes them, their arguments as an object.

        >>> Message(role="user", content="hi").build_turn()
        {'role': 'user', 'content': 'hi'}
        """
        turn = self.model_dump(exclude={"tool_calls"})
        if self.tool_calls:
            turn["tool_calls"] = [call.build_turn_part() for call in self.tool_calls]
        return turn


class Row(BaseModel):
    """One example.

    ``messages`` is the prompt; it ends with a user turn or the result of a tool. ``answer`` is the expected answer.
    Preference pairs also have a rejected answer. An answer with reasoning or tool calls is stored completely in
    ``answer_turn``, whose content equals ``answer``; the same holds for the rejected answer.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    messages: list[Message] = Field(min_length=1)
    answer: str
    rejected: str | None = None
    task: str = Field(default="", description="Task of the row, such as extract or question; selects the scorer.")
    language: str = Field(default="", description="en or zh, if known.")
    group: str = Field(default="", description="Template or passage of the row; intervals cluster by it.")
    answer_turn: Message | None = Field(default=None, exclude_if=_is_unset)
    rejected_turn: Message | None = Field(default=None, exclude_if=_is_unset)
    label: bool | None = Field(default=None, exclude_if=_is_unset, description="Whether the answer is desirable (KTO).")
    tools: tuple[Any, ...] = Field(
        default=(), exclude_if=_is_unset, description="Definitions of the tools that the assistant may call."
    )

    scorer: Scorer | None = Field(
        default=None, exclude_if=_is_unset, description="How answers are scored; by its task without it."
    )

    @property
    def user_text(self) -> str:
        """The text of all user turns; system prompts are left out, because rows of one task share them."""
        return "\n".join(message.content for message in self.messages if message.role == "user")

    @property
    def reply(self) -> Message:
        """The answer as an assistant turn."""
        return self.answer_turn or Message(role="assistant", content=self.answer)
