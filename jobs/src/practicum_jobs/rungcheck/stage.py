"""Asks the same rows at every rung of a gateway's ladder, and records what the answers are worth."""

from __future__ import annotations

import asyncio
import contextlib
import hashlib
import json
import time
from collections.abc import Sequence
from pathlib import Path

import aiohttp

from practicum_core.api_keys import KeyLimits
from practicum_core.atomic import write_text_atomic
from practicum_core.errors import DataError
from practicum_core.metrics import Metric
from practicum_core.rows import Row
from practicum_core.rungs import RUNG_FILE, Rung
from practicum_core.stages.base import Failure
from practicum_core.stages.experiments import RungQuality
from practicum_core.stages.rungcheck import RungcheckConfig, RungcheckRecord
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.load.server import find_model, hold_key, split_address
from practicum_jobs.rungcheck.outcome import Reply, grade, measure_rungs
from practicum_jobs.rungcheck.pinned import hold_rung, keep_pin, list_rungs
from practicum_jobs.scoring.scorers import refuse_other_than_text, score_row

Replies = list[tuple[Rung, list[Reply]]]
_HEADER = "x-practicum-degraded"


def run(config: RungcheckConfig, ctx: StageContext) -> RungcheckRecord:
    """Measure every rung, one after another.

    Raises:
        ConfigError: The gateway has no ladder.
        DataError: The split cannot be read, has no row of the task, or its rows are scored by more than a text.
        PlatformError: The gateway does not answer, or does not take a rung.
        Stopped: A stop was requested; the pin is as it was.
    """
    rows = choose_rows(load_split(ctx, config.split), config)
    refuse_other_than_text(rows, "the stage rungcheck")
    path = ctx.experiments / RUNG_FILE
    with hold_key(config, ctx, KeyLimits()) as key, keep_pin(path):
        asker = Asker(config, ctx, key, path)
        replies = asyncio.run(asker.ask_all(rows))
    ctx.layout.artifacts.mkdir(parents=True, exist_ok=True)
    answers = ctx.layout.artifacts / "answers.jsonl"
    write_text_atomic(answers, "".join(_build_lines(rows, replies)))
    qualities = measure_rungs(replies, [row.group or row.id for row in rows])
    return RungcheckRecord(
        url=config.url,
        data_sha256=hashlib.sha256("".join(row.model_dump_json() for row in rows).encode()).hexdigest(),
        qualities=qualities,
        metrics=build_metrics(qualities),
        failures=[
            Failure(
                kind="worse_rung",
                where=one.rung,
                text=f"{one.above_next:+.3f} against the rung below ({one.above_next_low:+.3f} to "
                f"{one.above_next_high:+.3f})",
            )
            for one in qualities
            if one.is_worse
        ],
        artifacts=[ctx.describe_artifact(answers, "every answer with its score")],
        **ctx.build_record_fields(),
    )


def choose_rows(rows: Sequence[Row], config: RungcheckConfig) -> list[Row]:
    """Return the rows that are asked.

    Raises:
        DataError: There is none.
    """
    chosen = [row for row in rows if config.task in {"", row.task}][: config.limit]
    if not chosen:
        raise DataError(
            f"split '{config.split}' has no row of the task '{config.task}'", "set rungcheck.task, or leave it empty"
        )
    return chosen


class Asker:
    """Asks a gateway."""

    def __init__(self, config: RungcheckConfig, ctx: StageContext, key: str, pin_file: Path) -> None:
        self._config = config
        self._ctx = ctx
        self._root, api = split_address(config.url)
        self._address = f"{api}/chat/completions"
        self._model = find_model(config.url, config, key)
        self._headers = {"authorization": f"Bearer {key}"} if key else {}
        self._pin_file = pin_file

    async def ask_all(self, rows: Sequence[Row]) -> Replies:
        """Ask all rows at all rungs."""
        timeout = aiohttp.ClientTimeout(total=self._config.timeout_s)
        async with aiohttp.ClientSession(trust_env=False, timeout=timeout, headers=self._headers) as session:
            rungs = await list_rungs(session, self._root)
            replies: Replies = []
            try:
                for number, rung in enumerate(rungs):
                    self._ctx.progress(number / len(rungs), f"rung {rung}")
                    async with self._hold(session, rung):
                        replies.append((rung, await self._ask_rows(session, rows)))
            finally:
                # From the lowest rung the ladder would go up one rung after another.
                async with self._hold(session, rungs[0]):
                    pass
            return replies

    def _hold(self, session: aiohttp.ClientSession, rung: Rung) -> contextlib.AbstractAsyncContextManager[None]:
        return hold_rung(session, self._root, self._pin_file, rung, self._config.pin_timeout_s)

    async def _ask_rows(self, session: aiohttp.ClientSession, rows: Sequence[Row]) -> list[Reply]:
        places = asyncio.Semaphore(self._config.concurrency)

        async def ask(row: Row) -> Reply:
            async with places:
                self._ctx.raise_if_stopped()
                return await self._ask(session, row)

        return await asyncio.gather(*(ask(row) for row in rows))

    async def _ask(self, session: aiohttp.ClientSession, row: Row) -> Reply:
        body = {
            "model": self._model,
            "messages": [message.build_turn() for message in row.messages],
            "max_tokens": self._config.max_tokens,
            "temperature": 0,
        }
        started_s = time.monotonic()
        try:
            async with session.post(self._address, json=body) as answer:
                page = json.loads(await answer.read())
                seconds = time.monotonic() - started_s
                if not answer.ok:
                    return Reply(0.0, seconds, is_answered=False, text=str(page.get("error", page)))
                rung = answer.headers.get(_HEADER, Rung.FULL)
                text = str(page["choices"][0]["message"].get("content") or "")
                usage = page.get("usage") or {}
        except (aiohttp.ClientError, TimeoutError, ValueError, LookupError, TypeError, AttributeError) as error:
            seconds = time.monotonic() - started_s
            return Reply(0.0, seconds, is_answered=False, text=str(error) or type(error).__name__)
        points = grade(score_row(row, text, self._config.scorer))
        return Reply(
            points,
            seconds,
            is_answered=True,
            prompt_tokens=int(usage.get("prompt_tokens") or 0),
            completion_tokens=int(usage.get("completion_tokens") or 0),
            text=text,
            rung=rung,
        )


def _build_lines(rows: Sequence[Row], replies: Replies) -> list[str]:
    return [
        json.dumps(
            {"row": row.id, "pinned": rung, "answered_by": one.rung, "points": one.points, "text": one.text},
            ensure_ascii=False,
        )
        + "\n"
        for rung, of_rung in replies
        for row, one in zip(rows, of_rung, strict=True)
    ]


def build_metrics(qualities: Sequence[RungQuality]) -> list[Metric]:
    """Build the metrics of the record."""
    counts = {
        "num_rungs": len(qualities),
        "num_worse_rungs": sum(one.is_worse for one in qualities),
        "num_rows": qualities[0].num_rows,
    }
    metrics = [Metric(name=name, value=value) for name, value in counts.items()]
    for one in qualities:
        metrics += [
            Metric(name=f"quality_{one.rung}", value=one.quality),
            Metric(name=f"tokens_{one.rung}", value=one.prompt_tokens + one.completion_tokens),
            Metric(name=f"e2e_{one.rung}_s", value=one.e2e_p50_s, unit="s"),
        ]
    return metrics
