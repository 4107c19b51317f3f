"""A server that speaks OpenAI's chat completions as the engine of an evaluation.

Such a server renders the prompt itself. vLLM gives back the token ids that it processed; llama.cpp gives back the text
of the tokens and their number, and its own tokenizer reads that text. Of any other server it is not known.
"""

from __future__ import annotations

import time
from collections.abc import Iterator, Mapping, Sequence
from concurrent.futures import ThreadPoolExecutor, as_completed
from dataclasses import dataclass, field
from typing import Any

import httpx

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_jobs.adapters.answer_engine import (
    REMOTE,
    ChoiceQuestion,
    ChoiceScores,
    EngineAnswer,
    EngineFacts,
    Prompt,
)
from practicum_jobs.storage.answers import Answer

NUM_ATTEMPTS = 4
FIRST_PAUSE_S = 0.5
_SHOWN = 300
_TRANSIENT = frozenset({408, 429, 500, 502, 503, 504})


@dataclass(frozen=True)
class ServedModel:
    """A model of a server.

    Attributes:
        url: Address of the API, with or without ``/v1``.
        name: Of the model there; the first one that the server lists where this is empty.
        api_key: Sent as a bearer token where there is one; shown in no text.
        max_new_tokens: Tokens per answer at most.
        concurrency: Requests at the same time.
        timeout_s: For one answer.
    """

    url: str
    name: str
    api_key: str = field(repr=False)
    max_new_tokens: int
    concurrency: int
    timeout_s: float


class ServerAnswers:
    """A served model that is asked by chat completions.

    Raises:
        PlatformError: The server cannot be reached, or does not answer as such a server does.
        ConfigError: It serves no model of that name.
    """

    def __init__(self, model: ServedModel) -> None:
        self._model = model
        base = model.url.rstrip("/")
        self._api = base if base.endswith("/v1") else f"{base}/v1"
        self._root = self._api.removesuffix("/v1")
        headers = {"Authorization": f"Bearer {model.api_key}"} if model.api_key else {}
        self._client = httpx.Client(timeout=model.timeout_s, headers=headers, trust_env=False)
        self._kind, version = self._recognise()
        self._name = self._find_name()
        self._facts = EngineFacts("openai", f"{self._kind} {version}".strip(), "unknown", REMOTE)

    @property
    def facts(self) -> EngineFacts:
        """What the server says of itself."""
        return self._facts

    def load(self, longest: int) -> None:
        """Do nothing: the server has loaded the model."""

    def iter_answers(self, prompts: Sequence[Prompt]) -> Iterator[Mapping[int, EngineAnswer]]:
        """Ask for several answers at a time; yield each as it comes."""
        pool = ThreadPoolExecutor(self._model.concurrency)
        try:
            asked = {pool.submit(self._answer, prompt): place for place, prompt in enumerate(prompts)}
            for finished in as_completed(asked):
                yield {asked[finished]: finished.result()}
        finally:
            pool.shutdown(cancel_futures=True)

    def iter_choices(self, questions: Sequence[ChoiceQuestion]) -> Iterator[Mapping[int, ChoiceScores]]:
        """Refuse: chat completions give no log-probabilities of given text."""
        raise ConfigError(
            f"{len(questions)} rows ask for log-probabilities of given text, which chat completions do not give",
            "evaluate them with engine transformers or vllm",
        )

    def close(self) -> None:
        """Close the connections."""
        self._client.close()

    def _answer(self, prompt: Prompt) -> EngineAnswer:
        request: dict[str, Any] = {
            "model": self._name,
            "messages": [dict(turn) for turn in prompt.turns],
            "temperature": 0,
            "max_tokens": self._model.max_new_tokens,
            **({"tools": list(prompt.tools)} if prompt.tools else {}),
            **{"vllm": {"return_token_ids": True}, "llama.cpp": {"verbose": True}}.get(self._kind, {}),
        }
        document = self._post(f"{self._api}/chat/completions", request)
        try:
            (choice,) = document["choices"]
            text = self._read_text(choice["message"])
            num_tokens = int((document.get("usage") or {}).get("completion_tokens") or 0)
        except (KeyError, TypeError, ValueError, AttributeError) as error:
            raise self._refuse(f"answered {self._quote(str(document))!r}, which is no chat completion") from error
        answer = Answer(text, num_tokens, is_stopped=choice.get("finish_reason") != "length")
        return EngineAnswer(answer, self._read_prompt(document))

    def _read_text(self, message: dict[str, Any]) -> str:
        """Return what the model wrote; a parser of the server that took it apart would make it look like silence.

        Raises:
            ConfigError: The answer lies in tool calls or reasoning.
        """
        text = message.get("content") or ""
        if not text and any(message.get(name) for name in ("tool_calls", "reasoning_content", "reasoning")):
            raise ConfigError(
                f"{self._api}: gave tool calls or reasoning and no text",
                "start it without a parser of tool calls or reasoning",
            )
        return str(text)

    def _read_prompt(self, document: dict[str, Any]) -> list[int] | None:
        if self._kind == "vllm":
            ids = document.get("prompt_token_ids")
            return [int(one) for one in ids] if isinstance(ids, list) else None
        said = document.get("__verbose")
        if self._kind != "llama.cpp" or not isinstance(said, dict):
            return None
        text, count = said.get("prompt"), said.get("tokens_evaluated")
        if not isinstance(text, str) or not isinstance(count, int):
            return None
        request = {"content": text, "add_special": False, "parse_special": True}
        ids = [int(one) for one in self._post(f"{self._root}/tokenize", request).get("tokens") or []]
        return ids if len(ids) == count else None

    def _recognise(self) -> tuple[str, str]:
        """Return the kind of the server, which decides how its prompts are shown, and its version."""
        version = self._look(f"{self._root}/version")
        if version is not None and isinstance(version.get("version"), str):
            return "vllm", str(version["version"])
        properties = self._look(f"{self._root}/props")
        if properties is not None and "build_info" in properties:
            return "llama.cpp", str(properties["build_info"])
        return "unknown server", ""

    def _look(self, url: str) -> dict[str, Any] | None:
        try:
            response = self._client.get(url)
            document = response.json() if response.status_code == httpx.codes.OK else None
        except (httpx.HTTPError, ValueError):
            return None
        return document if isinstance(document, dict) else None

    def _find_name(self) -> str:
        document = self._send("GET", f"{self._api}/models", None)
        try:
            names = [str(one["id"]) for one in document["data"]]
        except (KeyError, TypeError) as error:
            raise self._refuse(f"listed {self._quote(str(document))!r}, which is no list of models") from error
        if not self._model.name and names:
            return names[0]
        if self._model.name not in names:
            raise ConfigError(
                f"{self._api}: serves no model '{self._model.name}'",
                f"it serves {self._quote(', '.join(names)) or 'none'}",
            )
        return self._model.name

    def _post(self, url: str, request: dict[str, Any]) -> dict[str, Any]:
        return self._send("POST", url, request)

    def _send(self, method: str, url: str, request: dict[str, Any] | None) -> dict[str, Any]:
        """Send a request, several times where the server is busy or gone for a moment."""
        problem = ""
        for attempt in range(NUM_ATTEMPTS):
            if attempt:
                time.sleep(FIRST_PAUSE_S * 2 ** (attempt - 1))
            try:
                response = self._client.request(method, url, json=request)
            except httpx.HTTPError as error:
                problem = f"{type(error).__name__}: {self._quote(str(error))}"
                continue
            if response.status_code in _TRANSIENT:
                problem = f"{response.status_code}: {self._quote(response.text)}"
                continue
            return self._read(response)
        raise self._refuse(f"did not answer in {NUM_ATTEMPTS} attempts ({problem})")

    def _read(self, response: httpx.Response) -> dict[str, Any]:
        if response.status_code in {401, 403}:
            raise ConfigError(
                f"{self._api}: refuses the key ({response.status_code})",
                "name the environment variable that holds a valid key: evaluate.api_key_env=NAME",
            )
        if response.status_code != httpx.codes.OK:
            raise self._refuse(f"answered {response.status_code}: {self._quote(response.text)}")
        try:
            document = response.json()
        except ValueError as error:
            raise self._refuse(f"answered {self._quote(response.text)!r}, which is no JSON") from error
        if not isinstance(document, dict):
            raise self._refuse(f"answered {self._quote(str(document))!r}, which is no JSON object")
        return document

    def _quote(self, text: str) -> str:
        """Return the beginning of a text of the server or of the connection, either of which may repeat the key."""
        key = self._model.api_key.strip()
        return (text.replace(key, "***") if key else text)[:_SHOWN]

    def _refuse(self, problem: str) -> PlatformError:
        return PlatformError(
            Reason.UPSTREAM_UNAVAILABLE,
            f"{self._api}: {problem}",
            "check the address, and that the server is up and serves OpenAI's chat completions",
        )
