"""What each rung of a ladder is worth: the same rows at every rung of a real gateway, and a rung that is refused."""

from __future__ import annotations

import asyncio
import json

import aiohttp
import pytest

from chaos_stand import LADDER
from gateway_stand import build_stand
from practicum_core.errors import ConfigError, DataError, PlatformError
from practicum_core.gates import check_gates
from practicum_core.metrics import StageMetric
from practicum_core.rows import Message, Row
from practicum_core.rungs import RUNG_FILE, Rung
from practicum_core.stages.rungcheck import RungcheckConfig
from practicum_core.units.availability import AVAILABILITY
from practicum_jobs.context import StageContext
from practicum_jobs.rungcheck import pinned
from practicum_jobs.rungcheck.outcome import Reply, measure_rungs
from practicum_jobs.rungcheck.pinned import hold_rung, keep_pin
from practicum_jobs.rungcheck.stage import Asker, build_metrics, choose_rows

STORED = "How long does a refund take?"
"""A question of the knowledge base."""
LONG = " ".join(f"t{number}" for number in range(1, 9))
"""What the tests' engine answers where it may use eight tokens."""
SHORT = " ".join(f"t{number}" for number in range(1, 5))


def build_rows(answer, question="hello", number=6):
    message = Message(role="user", content=question)
    return [Row(id=f"{question}-{place}", messages=[message], answer=answer) for place in range(number)]


async def measure(stand, folder, rows, **options):
    config = RungcheckConfig(url=stand.url, max_tokens=8, **options)
    ctx = StageContext(folder / "unit" / "run", "rungcheck", "rungcheck", folder, folder)
    ctx.layout.root.mkdir(parents=True, exist_ok=True)
    pin_file = folder / RUNG_FILE
    with keep_pin(pin_file):
        asker = await asyncio.to_thread(Asker, config, ctx, stand.secret, pin_file)
        return measure_rungs(await asker.ask_all(rows), [row.id for row in rows])


def is_refused(qualities):
    [gate] = [one for one in AVAILABILITY.gates if one.name == "rungs_in_order"]
    metrics = [StageMetric(stage="rungcheck", **one.model_dump()) for one in build_metrics(qualities)]
    [result] = check_gates([gate], metrics)
    return not result.passed


def test_every_rung_is_measured_and_one_that_is_worse_than_the_next_is_refused(tmp_path):
    async def run():
        async with build_stand(tmp_path, short_max_tokens=4, **LADDER) as stand:
            good = await measure(stand, tmp_path, build_rows(LONG))
            # Where the right answer is a short one, the full rung says too much.
            bad = await measure(stand, tmp_path, build_rows(SHORT))
            stored = await measure(stand, tmp_path, build_rows("-", STORED))
            return good, bad, stored

    good, bad, stored = asyncio.run(run())
    rungs = [Rung.FULL, Rung.SHORT, Rung.EXTRACT, Rung.FAQ, Rung.APOLOGY]
    assert [one.rung for one in good] == rungs
    assert [one.quality for one in good] == [1.0, 0.0, 0.0, 0.0, 0.0]
    assert not is_refused(good)
    assert [one.quality for one in bad] == [0.0, 1.0, 0.0, 0.0, 0.0]
    assert [one.is_worse for one in bad] == [True, False, False, False, False]
    assert bad[0].above_next == -1.0
    assert is_refused(bad)
    assert [one.completion_tokens for one in good] == [8.0, 4.0, 0.0, 0.0, 0.0]
    assert [one.num_answered for one in good] == [6, 6, 0, 0, 0]
    assert [one.num_answered for one in stored] == [6, 6, 6, 6, 0]
    assert not (tmp_path / RUNG_FILE).exists()


def test_a_gateway_without_a_ladder_and_one_that_reads_another_file_are_told(tmp_path):
    async def run():
        async with build_stand(tmp_path) as stand:
            with pytest.raises(ConfigError, match="no ladder"):
                await measure(stand, tmp_path, build_rows(LONG))
        async with build_stand(tmp_path, **LADDER) as stand:
            (tmp_path / "elsewhere").mkdir()
            with pytest.raises(PlatformError, match="did not take the rung 'full'"):
                await measure(stand, tmp_path / "elsewhere", build_rows(LONG), pin_timeout_s=0.5)

    asyncio.run(run())


def test_a_pin_that_cannot_be_written_or_renewed_is_told_as_what_it_is(tmp_path, monkeypatch):
    monkeypatch.setattr(pinned, "_RENEW_S", 0.01)
    path = tmp_path / "folder" / RUNG_FILE
    path.parent.mkdir()

    async def hold(session, url, file):
        async with hold_rung(session, url, file, Rung.FULL, 60):
            path.unlink()
            path.mkdir()
            await asyncio.sleep(0.2)

    async def run():
        async with build_stand(path.parent, **LADDER) as stand, aiohttp.ClientSession(trust_env=False) as session:
            with pytest.raises(PlatformError, match="cannot be written"):
                await hold(session, stand.url, tmp_path / RUNG_FILE / RUNG_FILE)
            assert not path.exists()
            with pytest.raises(PlatformError, match="cannot be written"):
                await hold(session, stand.url, path)

    (tmp_path / RUNG_FILE).touch()
    asyncio.run(run())


def test_a_pin_that_a_person_made_is_put_back(tmp_path):
    path = tmp_path / RUNG_FILE
    path.write_text('{"rung": "short"}')
    with keep_pin(path):
        path.write_text('{"rung": "extract"}')
    assert json.loads(path.read_text()) == {"rung": "short"}
    path.write_text('{"rung": "extract", "lease_s": 15, "renewal": 7}')  # left by a check that was killed
    with keep_pin(path):
        pass
    assert not path.exists()


def test_a_rung_that_is_worse_by_chance_alone_is_not_refused():
    points = [1.0, 0.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    better = [1.0, 1.0, 1.0, 1.0, 0.0, 1.0, 0.0, 1.0]
    replies = [
        (rung, [Reply(one, 0.1, is_answered=True) for one in of_rung])
        for rung, of_rung in ((Rung.FULL, points), (Rung.SHORT, better))
    ]
    [full, short] = measure_rungs(replies, [str(place) for place in range(8)])
    assert full.above_next == -0.125
    assert full.above_next_low < -0.125 < full.above_next_high
    assert not full.is_worse
    assert short.above_next is None


def test_rows_of_another_task_are_not_asked_and_a_split_without_any_is_told(tmp_path):
    rows = [
        row.model_copy(update={"id": f"{task}-{row.id}", "task": task})
        for task in ("extract", "question")
        for row in build_rows("7 days", number=2)
    ]
    assert [row.id for row in choose_rows(rows, RungcheckConfig(task="question", limit=5))] == [
        "question-hello-0",
        "question-hello-1",
    ]
    assert len(choose_rows(rows, RungcheckConfig(limit=3))) == 3
    with pytest.raises(DataError, match="no row of the task 'choice'"):
        choose_rows(rows, RungcheckConfig(task="choice"))
