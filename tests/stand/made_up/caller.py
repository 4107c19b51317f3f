"""The program of the stage ``caller``."""

from __future__ import annotations

import json
import time
import urllib.request

from made_up.stages.caller import CallerConfig, CallerRecord
from practicum_core.errors import PlatformError, Reason
from practicum_core.metrics import Metric
from practicum_jobs.context import StageContext


def run(config: CallerConfig, ctx: StageContext) -> CallerRecord:
    """Ask until there were enough greetings.

    Raises:
        PlatformError: Nobody answered for ``patience_s``.
    """
    num_greetings, num_failures, servers = 0, 0, []
    answered_s = time.monotonic()
    while num_greetings < config.num_greetings:
        ctx.raise_if_stopped()
        try:
            with urllib.request.urlopen(f"{config.endpoint}/greet", timeout=5) as answer:  # noqa: S310 - http, by the executor
                server = json.load(answer)["server"]
        except OSError as error:
            num_failures += 1
            if time.monotonic() - answered_s > config.patience_s:
                raise PlatformError(Reason.UPSTREAM_UNAVAILABLE, f"{config.endpoint}: {error}", "look at it") from error
        else:
            num_greetings, answered_s = num_greetings + 1, time.monotonic()
            servers += [server] if server not in servers else []
        ctx.progress(num_greetings / config.num_greetings, f"{num_greetings} greetings, {num_failures} failures")
        time.sleep(config.pause_s)
    return CallerRecord(
        **ctx.build_record_fields(),
        num_greetings=num_greetings,
        num_failures=num_failures,
        servers=servers,
        metrics=[Metric(name="num_greetings", value=num_greetings), Metric(name="num_failures", value=num_failures)],
    )
