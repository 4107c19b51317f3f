"""The rungs of the degradation ladder: what a gateway still offers while its engines are in trouble, best first."""

from __future__ import annotations

from enum import StrEnum

from pydantic import BaseModel, ConfigDict, Field

from practicum_core.texts import Bilingual

RUNG_FILE = "gateway-rung.json"
"""Name of the file in the folder of all runs that pins a rung, such as ``{"rung": "extract"}``."""


class Rung(StrEnum):
    """What answers a request. Rungs from ``EXTRACT`` on use no engine."""

    FULL = "full"
    """The model, as it was asked."""
    SHORT = "short"
    """The model, with a shorter conversation and a shorter answer."""
    SMALL = "small"
    """A smaller or quantized model on another engine, with the bounds of ``SHORT``."""
    EXTRACT = "extract"
    """Sentences of the knowledge base with their source; no model."""
    FAQ = "faq"
    """A stored answer to exactly this question."""
    APOLOGY = "apology"
    """An error that says that nothing can answer now, and when to come back."""

    @property
    def uses_engine(self) -> bool:
        """Whether a model generates the answer."""
        return self in _WITH_ENGINE

    @property
    def depth(self) -> int:
        """How far down it is; 0 is the best.

        >>> Rung.FULL.depth, Rung.APOLOGY.depth
        (0, 5)
        """
        return _ORDER.index(self)


_ORDER = tuple(Rung)
_WITH_ENGINE = frozenset({Rung.FULL, Rung.SHORT, Rung.SMALL})

RUNG_TITLES: dict[Rung, Bilingual] = {
    Rung.FULL: Bilingual("full answer", "完整回答"),
    Rung.SHORT: Bilingual("shorter context and answer", "缩短上下文与回答"),
    Rung.SMALL: Bilingual("smaller model", "小模型"),
    Rung.EXTRACT: Bilingual("extract of the knowledge base", "知识库摘录"),
    Rung.FAQ: Bilingual("stored answer", "预存答案"),
    Rung.APOLOGY: Bilingual("apology", "致歉"),
}


class RungChange(BaseModel):
    """A step of the ladder."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    at_s: float = Field(description="Seconds since the epoch.")
    before: Rung
    after: Rung
    reason: str = Field(description="Signal for which it was made, engine_out, calm or manual.")
