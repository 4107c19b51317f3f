"""Search in the knowledge base over HTTP, on a path of its own: articles for a question, or none below the floor."""

from __future__ import annotations

import json
from typing import Any

from practicum_gateway.errors import SERVER, ApiError
from practicum_gateway.exchange import JSON, Exchange
from practicum_gateway.knowledge import KnowledgeOutError
from practicum_gateway.knowledge_base import KnowledgeBase
from practicum_gateway.retrieval import Hit

_MAX_HITS = 20
_RETRY_AFTER_S = 5.0


class Search:
    """The feature.

    Args:
        knowledge: What is searched.
    """

    def __init__(self, knowledge: KnowledgeBase) -> None:
        self._knowledge = knowledge

    async def answer(self, exchange: Exchange, body: bytes) -> None:
        """Answer a search.

        Args:
            exchange: Of the request.
            body: JSON with ``query``, and ``top`` for the number of articles.

        Raises:
            ApiError: The body says something else, or the knowledge base cannot be searched.
        """
        query, top = _read_query(body)
        try:
            hits = self._knowledge.search(query, top)
            extract = self._knowledge.extract(query)
        except KnowledgeOutError as error:
            text = "the knowledge base cannot be searched now; try again later"
            raise ApiError(503, "knowledge_unavailable", text, SERVER, retry_after_s=_RETRY_AFTER_S) from error
        page = {
            "object": "list",
            "abstained": not hits,
            "extract": extract.text if extract is not None else None,
            "data": [_build_entry(hit) for hit in hits],
        }
        await exchange.respond(200, [JSON], json.dumps(page, ensure_ascii=False).encode())


def _build_entry(hit: Hit) -> dict[str, Any]:
    article = hit.article
    return {
        "id": article.id,
        "title": article.title,
        "language": article.language,
        "text": article.text,
        "score": round(hit.score, 4),
        "evidence": round(hit.evidence, 4),
        "coverage": round(hit.coverage, 4),
    }


def _read_query(body: bytes) -> tuple[str, int]:
    try:
        document = json.loads(body)
    except (ValueError, RecursionError) as error:
        raise ApiError(400, "invalid_json", f"the body is no JSON: {error}") from error
    if not isinstance(document, dict):
        raise ApiError(400, "invalid_json", f"the body is a {type(document).__name__}, not a JSON object")
    query, top = document.get("query"), document.get("top", 3)
    if not isinstance(query, str) or not query.strip():
        raise ApiError(400, "invalid_value", "query: expected a text", param="query")
    if isinstance(top, bool) or not isinstance(top, int) or not 1 <= top <= _MAX_HITS:
        raise ApiError(400, "invalid_value", f"top: expected a whole number from 1 to {_MAX_HITS}", param="top")
    return query, top
