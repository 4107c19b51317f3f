"""Services of engines: which has a model, by which name, what changes while requests run, and what their file says."""

from __future__ import annotations

import json

import pytest
from pydantic import ValidationError

from practicum_core.errors import DataError
from practicum_core.stages.gateway import GatewayConfig
from practicum_core.stages.upstreams import UpstreamConfig, UpstreamTable
from practicum_gateway.breaker import Outcome
from practicum_gateway.discovery import read_table
from practicum_gateway.errors import ApiError
from practicum_gateway.upstream import NoReplica
from upstream_pools import build_pool, tell


def test_a_model_goes_to_engines_that_have_it():
    pool = build_pool(None, "a", "b", told=())
    first, second = pool.upstreams
    tell(pool, first, "small", "shared")
    tell(pool, second, "large", "shared")
    assert {pool.call("small").upstream for _ in range(5)} == {first}
    assert {pool.call("large").upstream for _ in range(5)} == {second}
    assert {pool.call(name).upstream.url for name in ("shared", None) for _ in range(20)} == {"http://a", "http://b"}
    assert [card["id"] for card in pool.list_models()] == ["small", "shared", "large"]
    with pytest.raises(ApiError, match="no engine has the model 'none'") as refused:
        pool.call("none")
    assert (refused.value.status, refused.value.code) == (404, "model_not_found")


def test_an_alias_is_another_name_of_an_engines_model():
    pool = build_pool(None, {"name": "a", "aliases": {"ticket-model": "v2"}, "models": ["v2"]}, told=("v2", "base"))
    assert pool.call("ticket-model").model == "v2"
    assert pool.call("v2").model is None
    assert [card["id"] for card in pool.list_models()] == ["v2", "ticket-model"]
    with pytest.raises(ApiError):
        # It is not among those that are offered.
        pool.call("base")


def test_limits_are_those_of_the_model_that_is_asked_for():
    pool = build_pool(None, "a", told=())
    pool.learn(pool.upstreams[0], {"m": {"id": "m", "max_model_len": 100}, "n": {"id": "n", "max_model_len": 900}})
    assert [pool.find_route(name).max_model_tokens for name in ("m", "n", None)] == [100, 900, 900]


def test_an_engine_that_stays_keeps_its_requests_and_its_breaker():
    pool = build_pool(None, "a", "b")
    before = {one.url: one for one in pool.upstreams}
    call = pool.call("m")
    pool.apply([UpstreamConfig(name="b", url="http://b"), UpstreamConfig(name="a", url="http://a", weight=0)])
    assert {one.url: one for one in pool.upstreams} == before
    assert {pool.call("m").upstream.url for _ in range(10)} == {"http://b"}
    pool.apply([UpstreamConfig(name="b", url="http://other")])
    # It goes on at an engine that gets no others.
    call.end(Outcome.GOOD)
    assert before[call.upstream.url].num_open >= 0
    with pytest.raises(NoReplica):
        pool.call("m")


def test_the_models_of_a_service_without_replicas_are_remembered():
    pool = build_pool(None, {"name": "a", "discover": True}, told=())
    service = pool.services["a"]
    with pytest.raises(NoReplica):
        pool.call("anything")
    pool.set_replicas(service, ["http://10.0.0.1"])
    tell(pool, pool.upstreams[0], "m")
    assert pool.call("m").upstream.url == "http://10.0.0.1"
    pool.set_replicas(service, [])
    assert [card["id"] for card in pool.list_models()] == ["m"]
    with pytest.raises(NoReplica, match="no engine of a is ready yet"):
        pool.call("m")
    with pytest.raises(ApiError, match="no engine has the model"):
        pool.call("anything")


def test_an_engine_that_takes_no_connection_is_passed_over_where_another_is_ready():
    pool = build_pool(None, "a", "b")
    pool.note_unreachable(pool.upstreams[0])
    assert {pool.call("m").upstream.url for _ in range(10)} == {"http://b"}
    pool.note_unreachable(pool.upstreams[1])
    # The last one is tried again, as nothing may wait for it.
    assert pool.call("m").upstream.url == "http://b"
    pool = build_pool(None, "a", holds=True)
    pool.note_unreachable(pool.upstreams[0])
    with pytest.raises(NoReplica):
        pool.call("m")


@pytest.mark.parametrize(
    ("fields", "said"),
    [
        ({"name": "A"}, "name"),
        ({"name": "-"}, "name"),
        ({"url": "engine:8000"}, "starts with http"),
        ({"url": "http://u:p@engine"}, "without user"),
        ({"url": "https://engine", "discover": True}, "discover needs"),
        ({"weight": -1}, "weight"),
        ({"canary_share": 1.5}, "canary_share"),
        ({"other": 1}, "other"),
    ],
)
def test_a_senseless_upstream_is_refused(fields, said):
    with pytest.raises(ValidationError, match=said):
        UpstreamConfig(**{"name": "a", "url": "http://a", **fields})


def test_a_table_has_each_name_once_and_no_more_than_all_requests():
    one = {"name": "a", "url": "http://a/v1/"}
    assert UpstreamTable(upstreams=[one]).upstreams[0].url == "http://a"
    with pytest.raises(ValidationError, match="two are called a"):
        GatewayConfig(upstreams=[one, one])
    with pytest.raises(ValidationError, match="more than 1"):
        UpstreamTable(upstreams=[{**one, "canary_share": 0.6}, {**one, "name": "b", "canary_share": 0.6}])


def test_an_upstream_may_be_one_line_as_options_of_a_week_job_are():
    lines = ["step:serve weight=3", "http://h:8000/v1 name=new canary_share=0.1 models=a,b aliases=t:a discover=true"]
    first, second = GatewayConfig(upstreams=lines).upstreams
    assert first == UpstreamConfig(name="engine", url="step:serve", weight=3)
    fields = {"canary_share": 0.1, "models": ("a", "b"), "aliases": {"t": "a"}, "discover": True}
    assert second == UpstreamConfig(name="new", url="http://h:8000", **fields)
    for line, said in (("", "upstreams"), ("step:serve weight", "FIELD=VALUE"), ("step:serve wait=3", "wait")):
        with pytest.raises(ValidationError, match=said):
            GatewayConfig(upstreams=[line])


def test_a_broken_file_says_where_it_is(tmp_path):
    path = tmp_path / "upstreams.json"
    for text in ("{", json.dumps({"upstreams": []}), json.dumps({"upstreams": [{"name": "a"}]})):
        path.write_text(text)
        with pytest.raises(DataError, match=r"upstreams\.json"):
            read_table(path)
