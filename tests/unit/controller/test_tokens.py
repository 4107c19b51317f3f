"""Whose a token is, and how long the answer is kept."""

from __future__ import annotations

import asyncio

import pytest

from practicum_controller import tokens
from practicum_controller.client import ApiFault
from practicum_controller.tokens import KEPT_REFUSED_S, KEPT_S, PodIdentity, TokenReviewer, read_identity
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

    def identify(self, token, after_s=0.0):
        self.now_s += after_s
        return asyncio.run(self.reviewer.identify(token))


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
    for number in range(35):
        server.identify(f"guess-{number}")
        assert len(server.reviewer._known) <= 10
    assert "guess" not in repr(server.reviewer._known)
    assert server.identify("good") == POD
