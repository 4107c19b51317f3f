"""Credentials that the cluster's tooling cannot use are refused with a sentence, never passed over."""

from __future__ import annotations

import base64
import json

import pytest

from practicum_cluster.api import Api
from practicum_cluster.kubeconfig import read_kubeconfig

SERVER = {"server": "https://a.example:6443/k8s/clusters/one"}
TOKEN = {"token": "t"}
REFUSED = {
    "a program": (SERVER, {"exec": {"command": "aws"}}, "user: 'exec' is not understood"),
    "a password": (SERVER, {"username": "a", "password": "b"}, "user: 'password' is not understood"),
    "half a certificate": (SERVER, {"client-key-data": "a"}, "user: neither token nor certificate"),
    "nobody": (SERVER, {}, "user: neither token nor certificate"),
    "somebody else": (SERVER, TOKEN | {"as": "root"}, "user: 'as' is not understood"),
    "a proxy": (SERVER | {"proxy-url": "http://b"}, TOKEN, "cluster: 'proxy-url' is not understood"),
    "no check": (SERVER | {"insecure-skip-tls-verify": True}, TOKEN, "'insecure-skip-tls-verify' is not understood"),
    "plain http": ({"server": "http://a"}, TOKEN, "no address by https"),
    "no server": ({}, TOKEN, "no address by https"),
}


def write(path, cluster, user):
    path.write_text(json.dumps({"clusters": [{"cluster": cluster}], "users": [{"user": user}]}))
    return path


@pytest.mark.parametrize("name", REFUSED)
def test_what_is_not_understood_is_said(tmp_path, name):
    cluster, user, said = REFUSED[name]
    with pytest.raises(RuntimeError, match=said) as refusal:
        read_kubeconfig(write(tmp_path / "config", cluster, user))
    assert str(tmp_path) in str(refusal.value)
    assert "give a kubeconfig whose user has a token" in str(refusal.value)


@pytest.mark.parametrize("text", ["apiVersion: v1", "{}", "[]", '{"clusters": [], "users": []}', '{"clusters": null}'])
def test_another_file_is_said(tmp_path, text):
    (tmp_path / "config").write_text(text)
    with pytest.raises(RuntimeError, match="no JSON with one cluster and one user"):
        read_kubeconfig(tmp_path / "config")


def test_a_token_and_a_certificate_are_read(tmp_path):
    both = {"client-certificate-data": "YQo=", "client-key-data": "Ygo="}
    authority = {"certificate-authority-data": base64.b64encode(b"pem").decode()}
    read = read_kubeconfig(write(tmp_path / "config", SERVER | authority, both))
    assert (read.authority, read.token, read.certificate) == ("pem", None, b"a\nb\n")


def test_without_an_authority_the_machines_are_trusted_and_the_path_goes_first(tmp_path, monkeypatch):
    api = Api(write(tmp_path / "config", SERVER, TOKEN))
    asked = []
    monkeypatch.setattr("http.client.HTTPSConnection.request", lambda self, method, path, *_: asked.append(path))
    monkeypatch.setattr("http.client.HTTPSConnection.getresponse", lambda self: Answer)
    api.send("GET", "/version")
    assert asked == ["/k8s/clusters/one/version"]


class Answer:
    status = 200

    @staticmethod
    def read():
        return b"{}"
