"""The results of an audit as a record and as JSON: findings with levels, lengths, scores, metrics."""

from __future__ import annotations

import functools
import math
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

from practicum_core.content_hash import hash_path
from practicum_core.metrics import Metric
from practicum_core.stages.audit import AuditConfig, AuditRecord
from practicum_core.stages.base import Artifact
from practicum_core.stages.findings import ClassScore, DataFile, Finding
from practicum_jobs.audit.catalogue import CATALOGUE, EXACT, LEAKED, NEAR, OVER_LONG, Level, get_verdict
from practicum_jobs.audit.cleaning import Cleaning
from practicum_jobs.audit.scan import Scan
from practicum_jobs.audit.truth import Truth
from practicum_jobs.datasets.sources import Source
from practicum_jobs.scoring.intervals import compute_wilson

PERCENTILES = {"p50": 50, "p90": 90, "p99": 99}


@dataclass(frozen=True)
class Result:
    """Everything an audit found. ``again`` is the audit of the clean copy; empty where there is none."""

    config: AuditConfig
    source: Source
    thresholds: Mapping[str, float]
    scan: Scan
    cleaning: Cleaning
    again: Scan
    truth: Truth | None

    @functools.cached_property
    def levels(self) -> dict[str, Level]:
        """Level of every finding."""
        return self.scan.build_levels(self.thresholds)

    @property
    def verdict(self) -> Level:
        """The worst level."""
        return get_verdict(list(self.levels.values()))

    @functools.cached_property
    def scores(self) -> list[ClassScore]:
        """Recall and precision by class; empty where nothing was planted."""
        return self.truth.build_scores() if self.truth else []

    @functools.cached_property
    def copy_failures(self) -> list[str] | None:
        """Findings that fail in the clean copy; ``None`` where no copy was wanted."""
        if not self.config.clean_copy:
            return None
        if not self.again.num_rows:
            return ["no_rows"]
        return [name for name, level in self.again.build_levels(self.thresholds).items() if level == "fail"]

    @functools.cached_property
    def files(self) -> list[DataFile]:
        """The files that were read."""
        return [
            DataFile(name=path.name, split=split, sha256=hash_path(path), size_bytes=path.stat().st_size)
            for split, paths in self.source.files.items()
            for path in paths
        ]

    @functools.cached_property
    def lengths(self) -> dict[str, int]:
        """Percentiles of the rows' tokens; empty where no tokenizer was named."""
        if self.config.model is None:
            return {}
        counts = self.scan.length_counts
        reached = np.cumsum(counts)
        # The smallest length that so large a share of the rows does not exceed.
        middle = {
            name: int(np.searchsorted(reached, math.ceil(share / 100 * reached[-1])))
            for name, share in PERCENTILES.items()
        }
        found = np.flatnonzero(counts)
        return {"min": int(found[0]), **middle, "max": int(found[-1])}

    @property
    def num_removed(self) -> int:
        """Rows and places that are not in the clean copy."""
        return self.scan.num_places - self.cleaning.num_clean


def build_findings(result: Result) -> list[Finding]:
    """Return every finding of the catalogue, those without a row too: what was looked for is part of the result."""
    total = result.scan.num_places
    return [
        Finding(
            name=name,
            num_rows=result.scan.count(name),
            share_ratio=round(result.scan.count(name) / total, 6),
            level=result.levels[name],
            threshold_ratio=result.thresholds[name],
            samples=result.cleaning.samples.get(name, []),
        )
        for name in CATALOGUE
    ]


def build_metrics(result: Result) -> list[Metric]:
    """Return the figures that gates and comparisons read."""
    scan, total = result.scan, result.scan.num_places
    metrics = [
        Metric(name="num_rows", value=scan.num_rows, unit="rows"),
        Metric(name="num_clean_rows", value=result.cleaning.num_clean, unit="rows"),
        Metric(name="duplicate_ratio", value=(scan.count(EXACT) + scan.count(NEAR)) / total, unit="ratio"),
        Metric(name="exact_duplicate_ratio", value=scan.count(EXACT) / total, unit="ratio"),
        Metric(name="near_duplicate_ratio", value=scan.count(NEAR) / total, unit="ratio"),
        Metric(name="leaked_rows", value=scan.count(LEAKED), unit="rows"),
        Metric(name="pii_rows", value=_count_rows(scan, "pii:"), unit="rows"),
        Metric(name="secret_rows", value=_count_rows(scan, "secret:"), unit="rows"),
        Metric(name="broken_rows", value=scan.num_defects, unit="rows"),
    ]
    if result.lengths:
        metrics.append(Metric(name="truncation_ratio", value=scan.count(OVER_LONG) / scan.num_rows, unit="ratio"))
        metrics += [Metric(name=f"tokens_{name}", value=value, unit="tokens") for name, value in result.lengths.items()]
    if result.copy_failures is not None:
        metrics.append(Metric(name="clean_copy_failures", value=len(result.copy_failures), unit="count"))
    return metrics + _build_score_metrics(result.scores)


def build_record(result: Result, fields: dict[str, Any], artifacts: list[Artifact]) -> AuditRecord:
    """Return the stage's record."""
    notes = [f"{result.num_removed:,} of {result.scan.num_places:,} rows or lines are not in the clean copy"]
    if result.copy_failures:
        notes.append(f"the clean copy fails: {', '.join(result.copy_failures)}")
    return AuditRecord(
        **fields,
        verdict=result.verdict,
        num_rows=result.scan.num_rows,
        num_clean_rows=result.cleaning.num_clean,
        findings=build_findings(result),
        uri=result.source.uri,
        files=result.files,
        lengths=result.lengths,
        scripts=result.scan.scripts,
        scores=result.scores,
        metrics=build_metrics(result),
        artifacts=artifacts,
        notes=notes,
    )


def build_document(result: Result) -> dict[str, Any]:
    """Return ``audit.json``: what the record says of the data, with the options that led to it."""
    copy_levels = result.again.build_levels(result.thresholds)
    return {
        "schema_version": 1,
        "verdict": result.verdict,
        "uri": result.source.uri,
        "files": [file.model_dump() for file in result.files],
        "options": result.config.model_dump(mode="json"),
        "num_rows": result.scan.num_rows,
        "num_defects": result.scan.num_defects,
        "num_clean_rows": result.cleaning.num_clean,
        "lengths": result.lengths,
        "scripts": result.scan.scripts,
        "findings": [finding.model_dump() for finding in build_findings(result)],
        "clusters": [{"first": first, "num_rows": size} for first, size in result.cleaning.clusters],
        "clean_copy": {
            "failures": result.copy_failures,
            "findings": {name: level for name, level in copy_levels.items() if level != "pass"},
        },
        "scores": [
            {**score.model_dump(), "recall": score.recall, "precision": score.precision} for score in result.scores
        ],
        "metrics": [metric.model_dump() for metric in build_metrics(result)],
    }


def _count_rows(scan: Scan, prefix: str) -> int:
    rows = [found for name, found in scan.findings.items() if name.startswith(prefix)]
    return len(np.unique(np.concatenate(rows))) if rows else 0


def _build_score_metrics(scores: list[ClassScore]) -> list[Metric]:
    """Return recall and precision by class with Wilson intervals, and the least of each.

    A class that was planted and never flagged counts with precision 0: there is nothing good to say about it.
    """
    if not scores:
        return []
    metrics = []
    for kind, attribute in (("recall", "num_planted"), ("precision", "num_flagged")):
        values = []
        for score in scores:
            total = getattr(score, attribute)
            if not total and kind == "recall":
                continue
            values.append(score.num_right / total if total else 0.0)
            interval = compute_wilson(score.num_right, total) if total else None
            low, high = (interval.low, interval.high) if interval else (None, None)
            metrics.append(Metric(name=f"{kind}:{score.name}", value=values[-1], unit="ratio", low=low, high=high))
        if values:
            metrics.append(Metric(name=f"min_{kind}", value=min(values), unit="ratio"))
    return metrics
