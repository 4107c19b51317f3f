"""The kubeconfig: which API server the command asks, as whom, and for which namespace."""

from __future__ import annotations

import contextlib
import logging
import os
import ssl
from collections.abc import Iterator
from pathlib import Path
from typing import NoReturn

import yaml
from kubernetes.client import Configuration
from kubernetes.config import ConfigException, load_incluster_config
from kubernetes.config.incluster_config import SERVICE_TOKEN_FILENAME
from kubernetes.config.kube_config import KubeConfigLoader, KubeConfigMerger

from practicum_core.errors import PlatformError, Reason, suggest_similar

_FALLBACK = "default"
"""The namespace where neither the context nor the pod names one, as for kubectl."""


def read_kubeconfig(context: str | None) -> tuple[Configuration, str]:
    """Return the client's settings for a context, and the namespace that it names.

    The files are those of ``$KUBECONFIG``, else ``~/.kube/config``, merged as kubectl does; in a pod without any, the
    pod's own service account.

    Args:
        context: Name of the context; ``None`` for the current one.

    Raises:
        PlatformError: There is no such context, or its credentials cannot be used.
    """
    named = [Path(part) for part in os.environ.get("KUBECONFIG", "").split(os.pathsep) if part]
    paths = [path.expanduser() for path in named or [Path("~/.kube/config")]]
    files = [path for path in paths if path.is_file()]
    shown = ", ".join(map(str, paths))
    try:
        if not files:
            return _read_pod()
        loader, persister = _load_context(files, context)
    # The reader takes the documents as they are, so a wrong shape ends in any of these.
    except (ConfigException, yaml.YAMLError, OSError, KeyError, TypeError, AttributeError) as error:
        detail = f"{shown}: {flatten(error)}" if files else f"no cluster: no file {shown}"
        fix = "put your kubeconfig there or name it in $KUBECONFIG; choose a context of it with --context"
        raise PlatformError(Reason.CLUSTER_MISSING, detail, fix) from error
    with explain_credentials(shown):
        settings = _read_credentials(loader)
        persister.save_changes()
    return settings, loader.current_context["context"].get("namespace") or _FALLBACK


@contextlib.contextmanager
def explain_credentials(what: str) -> Iterator[None]:
    """Turn the faults of reading credentials into one sentence.

    Raises:
        PlatformError: In place of any of them.
    """
    try:
        yield
    except (ConfigException, OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        detail = f"{what}: the credentials cannot be used: {flatten(error)}"
        raise PlatformError(Reason.CLUSTER_MISSING, detail, "correct your kubeconfig, or log in again") from error


def _read_pod() -> tuple[Configuration, str]:
    settings = Configuration()
    load_incluster_config(client_configuration=settings)
    return settings, Path(SERVICE_TOKEN_FILENAME).with_name("namespace").read_text(encoding="ascii").strip()


def _load_context(files: list[Path], context: str | None) -> tuple[KubeConfigLoader, KubeConfigMerger]:
    merger = KubeConfigMerger(os.pathsep.join(map(str, files)))
    # Of several files the first one that names a current context decides; the client takes the last.
    currents = (document.get("current-context") for document in merger.config_files.values())
    wanted = context or next((current for current in currents if current), None)
    if not wanted:
        raise ConfigException("it names no current context")
    known = [one["name"] for one in merger.config.value["contexts"]]
    if wanted not in known:
        raise ConfigException(f"no context '{wanted}'{suggest_similar(wanted, known)}")
    loader = KubeConfigLoader(
        merger.config,
        wanted,
        get_google_credentials=_refuse_google,
        config_base_path=None,
        config_persister=merger.save_changes,
    )
    return loader, merger


def _refuse_google() -> NoReturn:
    """Refuse what Kubernetes dropped in 1.26; the client would look for Google's credentials all over the network."""
    raise ConfigException("auth-provider `gcp`: kubectl knows it no more; use the plugin `gke-gcloud-auth-plugin`")


def _read_credentials(loader: KubeConfigLoader) -> Configuration:
    settings = Configuration()
    # An answer that does not come is not asked for again behind the command's back: its pauses are the command's.
    settings.retries = False
    with _collect_complaints() as complaints:
        loader.load_and_set(settings)
    if complaints:
        raise ConfigException("; ".join(complaints))
    if settings.cert_file:
        ssl.create_default_context().load_cert_chain(settings.cert_file, settings.key_file)
    return settings


@contextlib.contextmanager
def _collect_complaints() -> Iterator[list[str]]:
    """Collect what the client only logs: a plugin that failed, after which it would ask without credentials."""
    complaints: list[str] = []

    class Collector(logging.Handler):
        def emit(self, record: logging.LogRecord) -> None:
            complaints.append(record.getMessage())

    handler, root = Collector(logging.ERROR), logging.getLogger()
    root.addHandler(handler)
    try:
        yield complaints
    finally:
        root.removeHandler(handler)


def flatten(error: BaseException) -> str:
    """Return what an exception says in one line."""
    return " ".join(str(error).split()) or type(error).__name__
