"""The one internal shape of a data row, whatever file format it came from.

Fields that a row does not have are not written: the bytes of frozen rows, and so their hashes, stay the same when a
field is added here.
"""

from __future__ import annotations

import json
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field

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
        default=None, exclude_if=_is_unset, description="What the assistant thought before it answered."
    )
    tool_calls: tuple[ToolCall, ...] = Field(default=(), exclude_if=_is_unset)
    tool_call_id: str | None = Field(default=None, exclude_if=_is_unset, description="The call that a tool answers.")
    name: str | None = Field(default=None, exclude_if=_is_unset, description="Of the speaker, or of the tool.")

    @property
    def is_plain(self) -> bool:
        """Whether role and content are all there is."""
        # Role and content are required: where no more than two fields were set, there is nothing else to look at.
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

    ``messages`` is the prompt and ends with a user turn or with a tool's result; ``answer`` is what the model should
    say. Preference pairs carry the rejected answer too. An answer that is more than text (reasoning, tool calls) stands
    whole in ``answer_turn``, whose content is ``answer``; likewise the rejected one.
    """

    model_config = ConfigDict(extra="forbid", frozen=True)

    id: str
    messages: list[Message] = Field(min_length=1)
    answer: str
    rejected: str | None = None
    task: str = Field(default="", description="What the row asks for, such as extract or question; picks the scorer.")
    language: str = Field(default="", description="en or zh where it is known.")
    group: str = Field(default="", description="Rows of one template or passage share it; intervals cluster by it.")
    answer_turn: Message | None = Field(default=None, exclude_if=_is_unset)
    rejected_turn: Message | None = Field(default=None, exclude_if=_is_unset)
    label: bool | None = Field(
        default=None, exclude_if=_is_unset, description="Whether the answer is a wanted one (unpaired preference, KTO)."
    )
    tools: tuple[Any, ...] = Field(
        default=(), exclude_if=_is_unset, description="Definitions of the tools that the assistant may call."
    )

    @property
    def reply(self) -> Message:
        """The answer as a turn."""
        return self.answer_turn or Message(role="assistant", content=self.answer)
