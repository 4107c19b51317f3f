"""Error messages for what an API server refuses: reason, place and fix. Pure: knows no client."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from http import HTTPStatus

from practicum_core.errors import ConfigError, PlatformError, PracticumError, Reason

_MEND = "correct the named keys; `kubectl explain weekjob.spec` says what each one takes"


@dataclass(frozen=True)
class Refusal:
    """An API server's answer that is not what was asked for.

    Attributes:
        code: The HTTP status.
        message: The server's sentence.
        causes: What is wrong with which field, each a sentence; empty where the server names none.
        kind: Plural of the kind that it is about, such as ``namespaces``; empty where it names none.
    """

    code: int
    message: str = ""
    causes: Sequence[str] = ()
    kind: str = ""


def explain_refusal(what: str, refusal: Refusal) -> PracticumError:
    """Return the error that stands for a refusal.

    Args:
        what: What was asked for, such as ``student-01/week-03``.
        refusal: The server's answer.

    >>> print(explain_refusal("student-1/week-03", Refusal(404, 'namespaces "student-1" not found', kind="namespaces")))
    student-1/week-03: namespaces "student-1" not found
      fix: name your own namespace with --namespace
    """
    detail = f"{what}: {refusal.message or _name_code(refusal.code)}"
    match refusal.code:
        case HTTPStatus.BAD_REQUEST | HTTPStatus.UNPROCESSABLE_ENTITY:
            causes = "".join(f"\n  {cause}" for cause in refusal.causes)
            return ConfigError(f"{what}: the cluster refuses it:{causes}" if causes else detail, _MEND)
        case HTTPStatus.UNAUTHORIZED:
            return PlatformError(Reason.PERMISSION_DENIED, detail, "renew the credentials in your kubeconfig")
        case HTTPStatus.FORBIDDEN:
            return _explain_forbidden(detail)
        case HTTPStatus.NOT_FOUND if refusal.kind == "namespaces":
            return ConfigError(detail, "name your own namespace with --namespace")
        case HTTPStatus.NOT_FOUND:
            return PlatformError(
                Reason.CLUSTER_MISSING,
                f"{detail}: the cluster has no Practicum",
                "choose another cluster with --context, or have Practicum installed: docs/operations.md",
            )
    return PlatformError(Reason.UPSTREAM_UNAVAILABLE, detail, "try again in a moment")


def _explain_forbidden(detail: str) -> PracticumError:
    if "exceeded quota" in detail:
        fix = "delete a week job that has ended, `kubectl delete weekjob NAME`, or ask your teacher for more"
        return PlatformError(Reason.QUOTA_EXCEEDED, detail, fix)
    if "status unknown for quota" in detail:
        # A cluster takes a while to count a kind that it just learnt, and says 403 meanwhile.
        return PlatformError(Reason.UPSTREAM_UNAVAILABLE, detail, "the cluster still counts; try again in a minute")
    fix = "name your own namespace with --namespace; your teacher's roster says who may work where"
    return PlatformError(Reason.PERMISSION_DENIED, detail, fix)


def _name_code(code: int) -> str:
    """Say what an HTTP status means.

    >>> _name_code(503), _name_code(599)
    ('503 Service Unavailable', '599')
    """
    try:
        return f"{code} {HTTPStatus(code).phrase}"
    except ValueError:
        return str(code)
