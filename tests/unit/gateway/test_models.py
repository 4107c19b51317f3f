"""The models that engines told: kept, and told to clients without asking an engine again."""

from __future__ import annotations

import asyncio

import openai
import pytest

from fake_engine import MODEL
from gateway_stand import build_stand


def test_models_are_told_without_asking_an_engine(tmp_path):
    async def run():
        async with build_stand(tmp_path, num_engines=2) as stand:
            for upstream in stand.gateway.pool.upstreams:
                upstream.url = "http://127.0.0.1:9"
            assert [model.id async for model in await stand.client().models.list()] == [MODEL]
            # It says nothing about the engine.
            assert not any(one.breaker._outcomes for one in stand.gateway.pool.upstreams)
            for upstream in stand.gateway.pool.upstreams:
                upstream.models = None
            with pytest.raises(openai.InternalServerError) as refused:
                await stand.client().models.list()
            assert (refused.value.status_code, refused.value.body["code"]) == (503, "not_ready")

    asyncio.run(run())
