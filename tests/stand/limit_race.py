"""Many clients that race on one key, through one gateway or several, in simulated time."""

from __future__ import annotations

import heapq
import random
from dataclasses import dataclass, field

from practicum_core.api_keys import ApiKey
from practicum_gateway.key_ring import Caller
from practicum_gateway.limits import Denial, KeyMeter

LIMIT = 10_000
MINUTE_S = 60.0
MINUTES = 10
NUM_CLIENTS = 64
START_S = 1000.0
TOKENS_PER_S = 40.0


@dataclass
class Race:
    """What happened: when each token was used (seconds, tokens), and how many requests were refused."""

    spent: list = field(default_factory=list)
    num_refused: int = 0


def build_caller(limits, clock, share=None, key_id="raced"):
    """Build a caller as one gateway has it; ``share`` is what it may use alone."""
    key = ApiKey(id=key_id, owner="student-01", sha256="", created_at="", limits=limits)
    return Caller(key, KeyMeter(share or limits, clock))


async def race(gateways, clock, seed, minutes=MINUTES):
    """Let clients race.

    Args:
        gateways: Pairs of an admission and the caller that it knows; clients are dealt out to them in turn.
        clock: Moved from event to event.
        seed: Of all that is random.
        minutes: How long, simulated.
    """
    rng, found, start_s = random.Random(seed), Race(), clock.now_s
    events = [(start_s + rng.random(), number, None) for number in range(NUM_CLIENTS)]
    heapq.heapify(events)
    while events and events[0][0] < start_s + minutes * MINUTE_S:
        clock.now_s, client, ending = heapq.heappop(events)
        admission, caller = gateways[client % len(gateways)]
        if ending is not None:
            grant, used, began_s = ending
            grant.settle(used)
            # The prompt counts when the request begins, each token of the answer when it was generated.
            prompt = used // 3
            found.spent.append((began_s, prompt))
            found.spent += [(began_s + n / TOKENS_PER_S, 1) for n in range(1, used - prompt + 1)]
            heapq.heappush(events, (clock.now_s + rng.expovariate(5.0), client, None))
            continue
        reserved = rng.randrange(50, 800)
        grant, _ = await admission.admit(caller, reserved)
        if isinstance(grant, Denial):
            found.num_refused += 1
            assert grant.retry_after_s > 0
            # As OpenAI's client: what Retry-After says, with some jitter.
            heapq.heappush(events, (clock.now_s + grant.retry_after_s * (1 + rng.random() / 4), client, None))
            continue
        used = rng.randrange(reserved // 4, reserved + 1)
        took_s = (used - used // 3) / TOKENS_PER_S
        heapq.heappush(events, (clock.now_s + took_s, client, (grant, used, clock.now_s)))
    found.spent.sort()
    return found


def find_busiest_minute(spent):
    """Return the most tokens within any minute, wherever it begins."""
    most = amount = first = 0
    for when_s, tokens in spent:
        amount += tokens
        while spent[first][0] <= when_s - MINUTE_S:
            amount -= spent[first][1]
            first += 1
        most = max(most, amount)
    return most


def assert_exact(found, minutes=MINUTES, limit=LIMIT):
    """Check that no minute held more than the limit, and that at least 95% of it was used."""
    assert found.num_refused > 10 * minutes, "they did not race"
    assert find_busiest_minute(found.spent) <= limit
    used = sum(tokens for when_s, tokens in found.spent if when_s < START_S + minutes * MINUTE_S)
    assert used >= 0.95 * minutes * limit
