"""Whose a token is, and how long the answer is kept."""

from __future__ import annotations

import asyncio

import pytest

from practicum_controller import tokens
from practicum_controller.client import ApiFault
from practicum_controller.tokens import (
    KEPT_REFUSED_S,
    KEPT_S,
    MAX_REFUSED,
    REFUSED_WINDOW_S,
    PodIdentity,
    TokenReviewer,
    TooManyRefusedError,
    read_identity,
)
from practicum_core.reports import INGEST_AUDIENCE

POD = PodIdentity("student-01", "week-03-sft-1", "p1")


def build_status(**fields):
    extra = {
        "authentication.kubernetes.io/pod-name": [POD.name],
        "authentication.kubernetes.io/pod-uid": [POD.uid],
    }
    user = {"username": "system:serviceaccount:student-01:practicum-stage", "extra": extra}
    return {"authenticated": True, "audiences": [INGEST_AUDIENCE], "user": user} | fields


def build_user(extra=None, username="system:serviceaccount:student-01:practicum-stage"):
    user = build_status()["user"]
    return {"username": username, "extra": user["extra"] | (extra or {})}


REFUSED = {
    "nothing": {},
    "not authenticated": build_status(authenticated=False),
    "another audience": build_status(audiences=["https://kubernetes.default.svc"]),
    "no audience": build_status(audiences=[]),
    "a person": build_status(user=build_user(username="teacher")),
    "a person named like an account": build_status(user=build_user(username="x:system:serviceaccount:student-01:a")),
    "no pod": build_status(user={"username": build_user()["username"]}),
    "a pod without uid": build_status(user=build_user({"authentication.kubernetes.io/pod-uid": []})),
    "two pods": build_status(user=build_user({"authentication.kubernetes.io/pod-name": ["a", "b"]})),
}


@pytest.mark.parametrize("status", REFUSED.values(), ids=REFUSED)
def test_what_is_no_pod_s_token_is_nobody_s(status):
    assert read_identity(status) is None


def test_a_token_names_its_pod_among_other_audiences():
    assert read_identity(build_status(audiences=["other", INGEST_AUDIENCE])) == POD


class Server:
    """Stands for the API server: says what is in ``statuses`` of a token and counts how often it is asked."""

    def __init__(self):
        self.now_s, self.asked = 1000.0, []
        self.statuses = {"good": build_status()}
        self.is_up = True
        self.reviewer = TokenReviewer(self.review, lambda: self.now_s)

    async def review(self, document):
        await asyncio.sleep(0)
        assert document["kind"] == "TokenReview"
        assert document["spec"]["audiences"] == [INGEST_AUDIENCE]
        self.asked.append(document["spec"]["token"])
        if not self.is_up:
            raise ApiFault(0, "away", "POST")
        return {"status": self.statuses.get(self.asked[-1], {"authenticated": False})}

    def identify(self, token, after_s=0.0, source="10.0.0.1"):
        self.now_s += after_s
        return asyncio.run(self.reviewer.identify(token, source))


@pytest.fixture
def server():
    return Server()


def test_an_answer_is_kept_for_its_time_and_asked_for_again(server):
    assert [server.identify("good", after_s) for after_s in (0, KEPT_S / 2, KEPT_S / 2 - 0.1)] == [POD] * 3
    assert server.asked == ["good"]
    server.statuses.clear()
    assert server.identify("good", 0.1) is None, "the pod is gone"
    assert server.asked == ["good"] * 2


def test_a_refusal_is_kept_for_seconds_only(server):
    """The server may learn of a new pod a moment after its token was made."""
    assert server.identify("new") is None
    server.statuses["new"] = build_status()
    assert server.identify("new", KEPT_REFUSED_S - 0.1) is None
    assert server.identify("new", 0.1) == POD
    assert server.asked == ["new"] * 2


def test_tokens_are_told_apart(server):
    assert (server.identify("good"), server.identify("goo"), server.identify("good ")) == (POD, None, None)
    assert server.asked == ["good", "goo", "good "]


def test_no_answer_is_no_refusal(server):
    server.is_up = False
    with pytest.raises(ApiFault):
        server.identify("good")
    server.is_up = True
    assert server.identify("good") == POD


def test_an_answer_that_is_kept_needs_no_server(server):
    server.identify("good")
    server.is_up = False
    assert server.identify("good", KEPT_S - 1) == POD


def test_what_is_kept_is_bounded_and_holds_no_token(server, monkeypatch):
    monkeypatch.setattr(tokens, "MAX_KEPT", 10)
    assert server.identify("good") == POD
    for number in range(35):
        server.identify(f"guess-{number}", source=f"10.0.0.{number}")
    kept = (server.reviewer._accepted, server.reviewer._refused, server.reviewer._attempts)
    assert [len(one) for one in kept] == [1, 10, 10]
    assert "guess" not in repr(kept)
    assert server.identify("good") == POD
    assert server.asked.count("good") == 1, "guesses drive no good token out"


def test_an_address_that_guesses_is_not_reviewed_for_a_while_and_others_are(server):
    for number in range(MAX_REFUSED):
        assert server.identify(f"guess-{number}") is None
    server.statuses |= {"older": build_status(), "new": build_status()}
    with pytest.raises(TooManyRefusedError):
        server.identify("new")
    assert len(server.asked) == MAX_REFUSED
    assert server.identify("new", source="10.0.0.2") == POD
    assert server.identify("later", REFUSED_WINDOW_S) is None


def test_a_token_that_was_accepted_is_reviewed_again_whoever_guesses_beside_it(server):
    assert server.identify("good") == POD
    for number in range(MAX_REFUSED):
        server.identify(f"guess-{number}", KEPT_S / MAX_REFUSED)
    assert server.identify("good") == POD
    assert server.asked.count("good") == 2


def test_guesses_at_once_are_counted_before_they_are_answered(server):
    async def guess():
        guesses = [server.reviewer.identify(f"guess-{number}", "10.0.0.1") for number in range(3 * MAX_REFUSED)]
        return await asyncio.gather(*guesses, return_exceptions=True)

    answers = asyncio.run(guess())
    assert len(server.asked) == MAX_REFUSED
    assert sum(isinstance(answer, TooManyRefusedError) for answer in answers) == 2 * MAX_REFUSED


def test_a_class_that_starts_at_once_is_not_taken_for_guesses(server):
    """Nor is an API server that is away: neither is a refusal."""
    server.statuses |= {f"pod-{number}": build_status() for number in range(2 * MAX_REFUSED)}
    server.is_up = False
    for number in range(2 * MAX_REFUSED):
        with pytest.raises(ApiFault):
            server.identify(f"pod-{number}")
    server.is_up = True
    assert [server.identify(f"pod-{number}") for number in range(2 * MAX_REFUSED)] == [POD] * 2 * MAX_REFUSED
