"""What a student's namespace lets out."""

from __future__ import annotations

import pytest

from practicum_controller.backends.pods import CHAOS_LABEL
from practicum_controller.course.homes import build_limits
from practicum_controller.course.network import build_policies, list_addresses
from practicum_controller.course.status import list_archived
from practicum_controller.settings import read_settings
from practicum_core import labels
from practicum_core.course import Course, CourseSpec, Student
from practicum_core.errors import ConfigError
from practicum_core.stages import STAGES
from practicum_core.weekjob import Metadata

STUDENT = Student(name="student-01")
COURSE = Course(metadata=Metadata(name="llm", namespace=""), spec=CourseSpec(students=[STUDENT]))


ENDPOINTS = {
    "endpoints": [{"addresses": ["10.0.0.2", "10.0.0.1"]}, {"addresses": ["fd00::1"]}],
    "ports": [{"port": 6443}],
}


def build(**variables):
    return build_policies(read_settings(variables), list_addresses(ENDPOINTS))


def test_no_way_out_leads_anywhere():
    for name, spec in build().items():
        assert all(rule.get("to") for rule in spec.get("egress", ())), name


@pytest.mark.parametrize(("given", "own"), [("", []), ("10.0.0.10, fd00::10/128", ["10.0.0.10/32", "fd00::10/128"])])
def test_names_are_asked_of_the_clusters_own_servers(given, own):
    (rule,) = build(PRACTICUM_DNS_NETWORKS=given)["practicum-dns"]["egress"]
    assert {port["port"] for port in rule["ports"]} == {53}
    pods, *blocks = rule["to"]
    assert pods == {"namespaceSelector": {"matchExpressions": [{"key": labels.STUDENT, "operator": "DoesNotExist"}]}}
    assert [block["ipBlock"]["cidr"] for block in blocks] == own


def test_experiments_alone_reach_the_api_server_and_by_that_way_nothing_else():
    policy = build()["practicum-chaos"]
    assert policy["podSelector"]["matchLabels"] == {CHAOS_LABEL: "true"}
    (rule,) = policy["egress"]
    assert [block["ipBlock"]["cidr"] for block in rule["to"]] == ["10.0.0.1/32", "10.0.0.2/32", "fd00::1/128"]
    assert rule["ports"] == [{"protocol": "TCP", "port": 6443}]
    assert "practicum-chaos" not in build_policies(read_settings({}), list_addresses({"endpoints": None}))


def test_prometheus_reads_the_servers_and_nobody_elses_pods_of_that_name_do():
    (rule,) = build()["practicum-metrics"]["ingress"]
    assert {port["port"] for port in rule["ports"]} >= {STAGES["gateway"].endpoint.port, STAGES["serve"].endpoint.port}
    (source,) = rule["from"]
    assert source["podSelector"] == {"matchLabels": {"app.kubernetes.io/name": "prometheus"}}
    # A student may give any label to pods of the own namespace, which has this one.
    assert source["namespaceSelector"]["matchExpressions"] == [{"key": labels.STUDENT, "operator": "DoesNotExist"}]


@pytest.mark.parametrize(
    ("given", "said"), [("0.0.0.0/0", "every address"), ("10.0.0.1/99", "DNS_NETWORKS"), ("kube-dns", "DNS_NETWORKS")]
)
def test_blocks_that_open_everything_or_are_none_are_refused(given, said):
    with pytest.raises(ConfigError, match=said):
        build(PRACTICUM_DNS_NETWORKS=given)


def test_no_container_may_ask_for_nothing():
    (limit,) = build_limits(COURSE, STUDENT)["spec"]["limits"]
    assert limit["min"] == {"cpu": "10m", "memory": "16Mi"}


def test_who_left_or_moved_is_archived_and_who_came_back_is_not():
    marks = {labels.COURSE: "llm", labels.ARCHIVED: "true", labels.STUDENT: "student-01"}
    homes = {"student-01": marks, "old-home": marks, "elsewhere": marks | {labels.COURSE: "other"}}
    namespaces = {name: {"metadata": {"labels": own}} for name, own in homes.items()}
    assert [(one.name, one.namespace) for one in list_archived(COURSE, namespaces)] == [("student-01", "old-home")]
