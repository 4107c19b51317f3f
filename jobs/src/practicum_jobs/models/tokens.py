"""Conversations as tokens, without torch: chat template by jinja2, tokenizer.json by tokenizers.

Gives the same tokens as ``transformers``' ``apply_chat_template`` (a test holds the two together), so that lengths
measured in a light environment are the lengths that training and inference see.
"""

from __future__ import annotations

import datetime as dt
import json
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

from jinja2 import Template, TemplateError, nodes
from jinja2.ext import Extension, loopcontrols
from jinja2.parser import Parser
from jinja2.sandbox import ImmutableSandboxedEnvironment
from tokenizers import Tokenizer

from practicum_core.errors import ConfigError, DataError, Reason
from practicum_core.rows import Message, Row
from practicum_jobs.models.json_files import describe_stand_in, read_object

_SPECIAL_TOKENS = ("bos_token", "eos_token", "unk_token", "sep_token", "pad_token", "cls_token", "mask_token")

Turn = Message | Mapping[str, Any]


class ChatTokenizer:
    """Tokenizer and chat template of one model folder.

    Args:
        folder: Holds tokenizer.json and a chat template.

    Raises:
        ConfigError: A file is missing or broken.
    """

    def __init__(self, folder: Path) -> None:
        self._tokenizer = _read_tokenizer(folder / "tokenizer.json")
        template = read_chat_template(folder)
        if not template:
            raise _build_model_error(f"{folder}: no chat template", "name an instruction-tuned model")
        self._template = _compile_template(template, folder)
        self._special_tokens = read_special_tokens(folder)

    @property
    def num_base_tokens(self) -> int:
        """Size of the vocabulary without the tokens that were added to it."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=False))

    def render(self, messages: Sequence[Turn], *, add_generation_prompt: bool, tools: Sequence[Any] = ()) -> str:
        """Return the text that the model sees for ``messages``.

        Args:
            messages: The turns.
            add_generation_prompt: Whether the text ends where an answer begins.
            tools: Definitions of the tools that the assistant may call.

        Raises:
            DataError: The template refuses the conversation, such as two user turns in a row, or fails at it.
        """
        turns = [turn.build_turn() if isinstance(turn, Message) else dict(turn) for turn in messages]
        try:
            return self._template.render(
                messages=turns,
                tools=list(tools) or None,
                add_generation_prompt=add_generation_prompt,
                **self._special_tokens,
            )
        except TemplateError as error:
            raise DataError(f"the chat template refuses a conversation: {error}", "correct its roles") from error
        except Exception as error:  # a template is a program of others: what it raises is about this conversation
            detail = f"the chat template fails at a conversation: {type(error).__name__}: {error}"
            raise DataError(detail, "correct the conversation, or use a model with another template") from error

    def encode_prompt(self, row: Row) -> list[int]:
        """Return the token ids of a row's prompt with its tools, up to where the answer begins.

        Raises:
            DataError: As for :meth:`render`.
        """
        return self.encode(self.render(row.messages, add_generation_prompt=True, tools=row.tools))

    def encode(self, text: str) -> list[int]:
        """Return the token ids of ``text``; special tokens are recognised in it and none are added."""
        return list(self._tokenizer.encode(text, add_special_tokens=False).ids)

    def decode(self, ids: Sequence[int]) -> str:
        """Return the text of token ids, special tokens left out."""
        return str(self._tokenizer.decode(list(ids), skip_special_tokens=True))

    def count_tokens(self, texts: list[str]) -> list[int]:
        """Return the number of tokens of each text; batches run on every core."""
        return [len(encoding) for encoding in self._tokenizer.encode_batch_fast(texts, add_special_tokens=False)]


def read_chat_template(folder: Path) -> str:
    """Return the chat template of a model folder: chat_template.jinja, else tokenizer_config.json; empty without one.

    Where a configuration names several templates, ``default`` is taken.

    Raises:
        ConfigError: A file cannot be read.
    """
    file = folder / "chat_template.jinja"
    if file.is_file():
        try:
            return file.read_text(encoding="utf-8")
        except (OSError, UnicodeDecodeError) as error:
            raise _build_model_error(f"{file}: {error}", "fetch the model again") from error
    template = _read_object(folder / "tokenizer_config.json").get("chat_template")
    if isinstance(template, list):
        named = {entry.get("name"): entry.get("template") for entry in template if isinstance(entry, dict)}
        template = named.get("default")
    return template if isinstance(template, str) else ""


def read_special_tokens(folder: Path) -> dict[str, str]:
    """Return ``{"eos_token": "...", ...}`` of a model folder, as its chat template is given them."""
    config = _read_object(folder / "special_tokens_map.json") | _read_object(folder / "tokenizer_config.json")
    tokens: dict[str, str] = {}
    for name in _SPECIAL_TOKENS:
        value = config.get(name)
        text = value.get("content") if isinstance(value, dict) else value
        if isinstance(text, str):
            tokens[name] = text
    return tokens


def _build_model_error(detail: str, fix: str) -> ConfigError:
    return ConfigError(detail, fix, Reason.MODEL_MISSING)


def _read_object(path: Path) -> dict[str, Any]:
    return read_object(path) if path.exists() else {}


def _read_tokenizer(path: Path) -> Tokenizer:
    try:
        tokenizer = Tokenizer.from_file(str(path))
    except Exception as error:  # tokenizers raises bare Exception for every fault
        raise _build_model_error(
            f"{path}: {_explain_tokenizer(path, error)}", "fetch the model again, whole"
        ) from error
    tokenizer.no_truncation()
    tokenizer.no_padding()
    return tokenizer


def _explain_tokenizer(path: Path, error: Exception) -> str:
    try:
        with path.open("rb") as handle:
            start = handle.read(64)
    except OSError as fault:
        return fault.strerror or str(fault)
    return describe_stand_in(start) or f"not a tokenizer ({' '.join(str(error).split())[:200]})"


class _GenerationTag(Extension):
    """Lets ``{% generation %} ... {% endgeneration %}`` pass, which marks answers for loss masks; prints its body."""

    tags = {"generation"}  # noqa: RUF012 - jinja2's own type

    def parse(self, parser: Parser) -> list[nodes.Node]:
        next(parser.stream)
        return parser.parse_statements(("name:endgeneration",), drop_needle=True)


def _compile_template(text: str, folder: Path) -> Template:
    """Compile a chat template in the sandbox and with the filters that model authors write for.

    Source: "Writing a chat template" in the transformers documentation.
    """
    environment = ImmutableSandboxedEnvironment(
        trim_blocks=True, lstrip_blocks=True, extensions=[_GenerationTag, loopcontrols]
    )
    environment.filters["tojson"] = _to_json
    environment.globals["raise_exception"] = _refuse
    environment.globals["strftime_now"] = lambda pattern: dt.datetime.now().astimezone().strftime(pattern)
    try:
        return environment.from_string(text)
    except Exception as error:  # RecursionError and SyntaxError among them, where jinja2 itself does not look
        raise ConfigError(
            f"{folder}: the chat template is broken ({str(error)[:200]})", "correct it", Reason.MODEL_MISSING
        ) from error


def _to_json(
    value: Any,  # noqa: ANN401 - any JSON value
    ensure_ascii: bool = False,  # noqa: FBT001, FBT002 - templates pass it by position
    indent: int | None = None,
    separators: tuple[str, str] | None = None,
    sort_keys: bool = False,  # noqa: FBT001, FBT002 - as above
) -> str:
    return json.dumps(value, ensure_ascii=ensure_ascii, indent=indent, separators=separators, sort_keys=sort_keys)


def _refuse(message: str) -> str:
    raise TemplateError(message)
