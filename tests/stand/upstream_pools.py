"""Pools of engines for tests, which have told their models."""

from __future__ import annotations

import time

from practicum_core.stages.upstreams import UpstreamConfig
from practicum_gateway.breaker import BreakerSettings
from practicum_gateway.upstream import UpstreamPool


def build_pool(clock, *entries, settings=None, max_ejected_share=0.5, holds=False, told=("m",)):
    """Build a pool; an entry is a name, or the fields of an upstream."""
    configs = [UpstreamConfig(**_fill(entry)) for entry in entries]
    pool = UpstreamPool(configs, settings or BreakerSettings(), max_ejected_share, clock or time.monotonic, holds=holds)
    for upstream in pool.upstreams:
        tell(pool, upstream, *told)
    return pool


def tell(pool, upstream, *models):
    pool.learn(upstream, {name: {"id": name} for name in models})


def _fill(entry):
    fields = {"name": entry} if isinstance(entry, str) else entry
    return {"url": f"http://{fields['name']}", **fields}
