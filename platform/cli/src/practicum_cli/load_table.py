"""The result of a load test as text for a terminal: a line for each rate, the knee and the first bottleneck."""

from __future__ import annotations

from typing import Any

from practicum_cli.tables import format_table
from practicum_core.stages.loadtest import BottleneckName, LatencySummary, LoadLevel, LoadtestRecord

_COUNTS = ("RATE/S", "DONE/S", "OK", "FAILED")
_HEADER = (*_COUNTS, "TTFT P50", "P95", "P99", "PER TOKEN", "END P50", "P99", "TOKENS/S", "GOOD", "SLO")


def describe_load(document: dict[str, Any]) -> str:
    """Describe the record of a load test. Latencies are in seconds.

    Args:
        document: The record as it was written.
    """
    record = LoadtestRecord.model_validate(document)
    lines = [format_table(_HEADER, [_build_row(level) for level in record.levels]), "", _describe_knee(record)]
    lines += [f"refused at {level.rate:g}/s: {level.refused}" for level in record.levels if level.refused]
    if record.bottleneck is not None and record.bottleneck.name is not BottleneckName.NONE:
        lines.append(f"first bottleneck: {record.bottleneck.name.replace('_', ' ')}")
        lines += [f"  {proof.text_en}" for proof in record.bottleneck.proofs]
    return "\n".join(lines)


def _build_row(level: LoadLevel) -> list[str]:
    counts = [f"{level.rate:g}", f"{level.reached_rate:.2f}", str(level.num_ok), str(level.num_failed)]
    if level.refused:
        return [*counts, *["-"] * (len(_HEADER) - len(_COUNTS) - 1), "refused"]
    return [
        *counts,
        *_show(level.ttft, "p50", "p95", "p99"),
        *_show(level.tpot, "p50"),
        *_show(level.e2e, "p50", "p99"),
        f"{level.completion_tokens_per_s:.1f}",
        f"{level.good_share.value:.1%}" if level.good_share else "-",
        "met" if level.meets_slo else "missed",
    ]


def _show(latency: LatencySummary | None, *names: str) -> list[str]:
    return [f"{getattr(latency, name).value:.3f}" if latency else "-" for name in names]


def _describe_knee(record: LoadtestRecord) -> str:
    if record.knee_rate is None:
        if not record.client_check.is_ok:
            return "the knee is not known: the client was the limit"
        why = next((one.text for one in record.failures if one.kind == "slo_never_met"), "")
        return f"no rate met the SLO: {why}" if why else "no rate met the SLO"
    said = {"none_failed": "; no rate missed it, so more is possible"}.get(record.knee_basis or "", "")
    return f"the SLO was met up to {record.knee_rate.value:g} requests/s{said}"
