"""The choice between engines: shares are kept, prompts that begin alike stay together, none gets far too much."""

from __future__ import annotations

import collections
import random

import pytest

from practicum_gateway.routing import hash_text
from upstream_pools import build_pool, tell


def count_calls(pool, num, keys=None, model="m"):
    """Send requests that end at once; return how many each service got."""
    counts = collections.Counter()
    for number in range(num):
        call = pool.call(model, None if keys is None else keys[number % len(keys)])
        counts[call.upstream.service.config.name] += 1
        call.upstream.num_open -= 1
    return counts


KEYS = [hash_text(b"%d" % number) for number in range(4000)]


@pytest.mark.parametrize("keys", [None, KEYS], ids=["any prompt", "by prompt"])
def test_weights_are_shares_of_the_requests(keys):
    pool = build_pool(None, {"name": "a", "weight": 3}, {"name": "b", "weight": 1}, {"name": "c", "weight": 0})
    counts = count_calls(pool, 4000, keys)
    assert counts["a"] == pytest.approx(3000, abs=120)
    assert counts["c"] == 0


def test_a_canary_gets_its_share_to_the_request_whatever_the_prompts():
    for keys in (None, KEYS[:1]):
        pool = build_pool(None, "stable", {"name": "canary", "canary_share": 0.1})
        assert count_calls(pool, 1000, keys) == {"stable": 900, "canary": 100}


def test_a_canary_that_cannot_answer_leaves_its_share_to_the_others():
    pool = build_pool(None, "stable", {"name": "canary", "canary_share": 0.5})
    pool.learn(pool.services["canary"].replicas[0], None)
    assert count_calls(pool, 100) == {"stable": 100}
    pool = build_pool(None, {"name": "stable", "models": ["m"]}, {"name": "canary", "canary_share": 0.5})
    pool.learn(pool.services["stable"].replicas[0], None)
    assert count_calls(pool, 100) == {"canary": 100}


def test_what_begins_alike_goes_to_one_engine_and_few_move_when_one_goes():
    pool = build_pool(None, "a", "b", "c", "d")

    def place():
        found = {}
        for key in KEYS:
            call = pool.call("m", key)
            found[key] = call.upstream.url
            call.upstream.num_open -= 1
        return found

    before = place()
    assert place() == before
    pool.learn(pool.upstreams[0], None)
    after = place()
    moved = {key for key in KEYS if before[key] != after[key]}
    assert moved == {key for key in KEYS if before[key] == "http://a"}


def test_one_prompt_of_everybody_does_not_crowd_one_engine():
    pool = build_pool(None, "a", "b", "c", "d")
    calls = [pool.call("m", KEYS[0]) for _ in range(400)]
    counts = collections.Counter(call.upstream.url for call in calls)
    assert max(counts.values()) <= 1.25 * 400 / 4 + 1
    # Among few it stays together.
    for call in calls:
        call.upstream.num_open -= 1
    assert len({pool.call("m", KEYS[0]).upstream.url for _ in range(1)}) == 1


@pytest.mark.parametrize("seed", range(3))
def test_no_engine_has_far_more_than_its_share_of_the_open_requests(seed):
    rng = random.Random(seed)
    weights = {"a": 4, "b": 2, "c": 1}
    pool = build_pool(None, *({"name": name, "weight": weight} for name, weight in weights.items()))
    calls = []
    for _ in range(3000):
        if calls and rng.random() < 0.45:
            calls.pop(rng.randrange(len(calls))).upstream.num_open -= 1
        # A third of all prompts begin alike.
        call = pool.call("m", KEYS[0] if rng.random() < 0.33 else rng.choice(KEYS))
        calls.append(call)
        most = 1.25 * len(calls) * weights[call.upstream.service.config.name] / 7
        assert call.upstream.num_open <= most + 1


def test_replicas_share_the_weight_of_their_service():
    discovered = {"name": "many", "discover": True, "models": ["m"]}
    pool = build_pool(None, discovered, "one")
    pool.set_replicas(pool.services["many"], ["http://10.0.0.1", "http://10.0.0.2", "http://10.0.0.3"])
    for upstream in pool.upstreams:
        tell(pool, upstream, "m")
    counts = count_calls(pool, 4000, KEYS)
    assert counts["many"] == pytest.approx(2000, abs=120)
