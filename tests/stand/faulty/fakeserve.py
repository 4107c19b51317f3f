"""The program of the stage ``fakeserve``."""

from __future__ import annotations

import asyncio
import os
import sys
from pathlib import Path

from faulty.stages.fakeserve import FakeserveConfig, FakeserveRecord
from practicum_core.stage_process import PORT_VARIABLE
from practicum_jobs.context import StageContext

# A stage's process sees the packages of its stages and nothing else of this folder.
sys.path.append(str(Path(__file__).resolve().parents[1]))

from fake_engine import FakeEngine, Settings, serve_engine

_POLL_S = 0.05


def run(config: FakeserveConfig, ctx: StageContext) -> FakeserveRecord:
    """Serve until a stop is requested."""
    asyncio.run(_serve(config, ctx))
    return FakeserveRecord(**ctx.build_record_fields())


async def _serve(config: FakeserveConfig, ctx: StageContext) -> None:
    engine = FakeEngine(Settings(step_s=config.step_s))
    async with serve_engine(engine, int(os.environ[PORT_VARIABLE])):
        while not ctx.is_stop_requested:  # noqa: ASYNC110 - set by a signal handler outside of the loop
            await asyncio.sleep(_POLL_S)
