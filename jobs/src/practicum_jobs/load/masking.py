"""Recorded prompts without personal data and secrets, as the audit of data finds them."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, field
from typing import Any

from practicum_core.traffic import TraceRequest
from practicum_jobs.text.pii import find_pii, mask_matches
from practicum_jobs.text.secrets import find_secrets


@dataclass
class Masker:
    """Masks prompts. Names and postal addresses are not found: see :mod:`practicum_jobs.text.pii`.

    Attributes:
        num_masked: Pieces that were masked so far.
    """

    num_masked: int = field(default=0)

    def mask(self, requests: Sequence[TraceRequest]) -> list[TraceRequest]:
        """Return requests whose prompts are masked; hashes and lengths stay those of what was asked."""
        return [
            one if one.prompt is None else one.model_copy(update={"prompt": self.mask_value(one.prompt)})
            for one in requests
        ]

    def mask_value(self, value: Any) -> Any:  # noqa: ANN401 - any JSON
        """Mask every text of a JSON value, keys and roles of messages too.

        >>> Masker().mask_value([{"role": "user", "content": "call 13800138000"}])
        [{'role': 'user', 'content': 'call 1*********0'}]
        """
        if isinstance(value, str):
            places = [*find_pii(value), *find_secrets(value)]
            self.num_masked += len(places)
            return mask_matches(value, places)
        if isinstance(value, dict):
            return {str(self.mask_value(name)): self.mask_value(one) for name, one in value.items()}
        return [self.mask_value(one) for one in value] if isinstance(value, list) else value
