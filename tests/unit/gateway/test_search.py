"""Search in the knowledge base: off by default, with a key, and silent about what no article has."""

from __future__ import annotations

import asyncio

import aiohttp
import pytest
from pydantic import ValidationError

from gateway_stand import build_stand
from practicum_core.faults import GATEWAY_FAULT_FILE, GatewayFault
from practicum_core.stages.gateway import GatewayConfig

ON = {"search": True, "knowledge": "builtin:tickets"}


async def search(stand, document, secret=None):
    headers = {"authorization": f"Bearer {secret or stand.secret}"}
    url = f"{stand.url}/v1/knowledge/search"
    async with aiohttp.ClientSession() as session, session.post(url, json=document, headers=headers) as answer:
        return answer.status, await answer.json(), answer.headers


def test_it_is_off_unless_it_is_turned_on(tmp_path):
    async def run():
        async with build_stand(tmp_path, knowledge="builtin:tickets") as stand:
            status, page, _ = await search(stand, {"query": "How long does a refund take?"})
            assert (status, page["error"]["code"]) == (404, "unknown_path")

    asyncio.run(run())


def test_a_question_gets_articles_and_one_that_no_article_has_gets_none(tmp_path):
    async def run():
        async with build_stand(tmp_path, **ON) as stand:
            status, page, _ = await search(stand, {"query": "退款多久到账？", "top": 2})
            assert status == 200
            assert page["data"][0]["id"] == "refund-time-zh"
            assert len(page["data"]) <= 2
            assert page["extract"].endswith("[refund-time-zh: 退款到账时间]")
            _, page, _ = await search(stand, {"query": "What is the capital of France?"})
            assert page == {"object": "list", "abstained": True, "extract": None, "data": []}
            assert not stand.engine.bodies

    asyncio.run(run())


def test_it_counts_against_the_requests_of_a_key_and_needs_one(tmp_path):
    async def run():
        async with build_stand(tmp_path, **ON, limits={"requests_per_minute": 2}) as stand:
            question = {"query": "How long does a refund take?"}
            assert [(await search(stand, question))[0] for _ in range(3)] == [200, 200, 429]
            assert (await search(stand, question, "sk-practicum-wrong"))[0] == 401

    asyncio.run(run())


REFUSED = [{}, {"query": " "}, {"query": 3}, [], {"query": "a", "top": 0}, {"query": "a", "top": True}]


@pytest.mark.parametrize("document", REFUSED)
def test_a_body_that_asks_nothing_is_refused(tmp_path, document):
    async def run():
        async with build_stand(tmp_path, **ON) as stand:
            status, page, _ = await search(stand, document)
            assert status == 400
            assert page["error"]["type"] == "invalid_request_error"

    asyncio.run(run())


def test_a_knowledge_base_that_cannot_be_searched_is_an_outage_and_no_fault(tmp_path):
    async def run():
        (tmp_path / GATEWAY_FAULT_FILE).write_text(GatewayFault(has_no_search=True).model_dump_json())
        async with build_stand(tmp_path, **ON, faults=True) as stand:
            status, page, headers = await search(stand, {"query": "How long does a refund take?"})
            assert (status, page["error"]["code"]) == (503, "knowledge_unavailable")
            assert headers["retry-after"]

    asyncio.run(run())


def test_it_needs_a_knowledge_base():
    with pytest.raises(ValidationError, match="set knowledge"):
        GatewayConfig(search=True)
