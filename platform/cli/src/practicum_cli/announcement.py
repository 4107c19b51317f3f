"""What a person is told once a service answers: its address, a key and how to ask."""

from __future__ import annotations

import http.client
import json
import urllib.request
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from practicum_cli.console import JsonLines, ProgressBar
from practicum_cli.streams import tell, tell_json
from practicum_core.phases import Phase
from practicum_core.weekjob import WeekJobStatus

_TIMEOUT_S = 10.0


class Announcement:
    """A listener that shows the start of a service and then its address, once.

    Args:
        listener: Shows the start.
        step: Step whose address is told.
        secret: Key to show; empty where none is needed.
        as_json: Print one line of JSON instead of a text.
    """

    def __init__(self, listener: JsonLines | ProgressBar, step: str, secret: str, *, as_json: bool) -> None:
        self._listener = listener
        self._step = step
        self._secret = secret
        self._as_json = as_json
        self._is_told = False

    def __enter__(self) -> Self:
        self._listener.__enter__()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._listener.__exit__(kind, error, trace)

    def on_event(self, event: Mapping[str, Any]) -> None:
        """Show the event."""
        self._listener.on_event(event)

    def on_status(self, status: WeekJobStatus) -> None:
        """Show the progress, or the address where the service has begun to answer."""
        url = next((stage.endpoint for stage in status.stages if stage.name == self._step), None)
        if self._is_told or status.phase is not Phase.SERVING or url is None:
            self._listener.on_status(status)
            return
        self._is_told = True
        # Bars would be drawn over the text.
        self._listener.__exit__(None, None, None)
        model = ask_model_name(url, self._secret)
        if self._as_json:
            tell_json({"base_url": f"{url}/v1", "api_key": self._secret or None, "model": model})
        else:
            tell(describe_service(url, model, self._secret))


def ask_model_name(url: str, secret: str) -> str:
    """Ask a service for the name of its model; empty where it does not answer."""
    headers = {"Authorization": f"Bearer {secret}"} if secret else {}
    try:
        request = urllib.request.Request(f"{url}/v1/models", headers=headers)  # noqa: S310 - loopback, by the executor
        with urllib.request.urlopen(request, timeout=_TIMEOUT_S) as answer:  # noqa: S310 - as above
            return str(json.load(answer)["data"][0]["id"])
    except (OSError, ValueError, LookupError, TypeError, http.client.HTTPException):
        return ""


def describe_service(url: str, model: str, secret: str) -> str:
    """Describe how a service is asked, by curl and by OpenAI's client.

    >>> print(describe_service("http://127.0.0.1:8080", "m", "sk-1").splitlines()[0])
    m answers at http://127.0.0.1:8080/v1
    """
    question = json.dumps(
        {"model": model, "messages": [{"role": "user", "content": "Say hello."}], "max_tokens": 64, "stream": True}
    )
    header = f' -H "Authorization: Bearer {secret}"' if secret else ""
    return f"""{model or "The model"} answers at {url}/v1
  key: {secret or "none is needed"}

  curl -N {url}/v1/chat/completions{header} \\
    -H "Content-Type: application/json" -d '{question}'

  from openai import OpenAI
  client = OpenAI(base_url="{url}/v1", api_key="{secret or "none"}")
  for chunk in client.chat.completions.create(
      model="{model}", messages=[{{"role": "user", "content": "Say hello."}}], stream=True
  ):
      print(chunk.choices[0].delta.content or "", end="", flush=True)

Ctrl-C stops it."""
