"""Names of objects on a cluster: within limits, and never the same for two owners."""

from __future__ import annotations

import itertools

from practicum_core.labels import (
    MAX_CHILD_NAME,
    MAX_PRIORITY_NAME,
    MAX_QUEUE_NAME,
    build_child_name,
    build_priority_class_name,
    build_queue_name,
)

PARTS = ["-".join(words) for count in (1, 2, 3) for words in itertools.product("ab", repeat=count)]
PARTS += [f"{'a' * 39}-{end}" for end in "bc"]
PAIRS = list(itertools.product(PARTS, PARTS))


def test_no_two_pairs_share_a_name():
    for build, limit in ((build_queue_name, MAX_QUEUE_NAME), (build_priority_class_name, MAX_PRIORITY_NAME)):
        names = [build(*pair) for pair in PAIRS]
        assert len(set(names)) == len(PAIRS)
        assert max(map(len, names)) <= limit


def test_no_two_children_of_a_namespace_share_a_name():
    names = [build_child_name(*pair, attempt) for pair in PAIRS for attempt in (1, 11)]
    assert len(set(names)) == 2 * len(PAIRS)
    assert max(map(len, names)) <= MAX_CHILD_NAME
