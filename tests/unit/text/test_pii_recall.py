"""Recall and false alarms on cases that were written before the detector and not by whoever wrote it."""

import json
from collections import Counter
from pathlib import Path

from practicum_jobs.text.pii import find_pii
from practicum_jobs.text.pii_kinds import PiiKind
from practicum_jobs.text.secret_kinds import SecretKind
from practicum_jobs.text.secrets import find_secrets

MIN_RECALL_RATIO = 0.95
MAX_FALSE_RATIO = 0.02
FILE = Path(__file__).parents[2] / "cases" / "pii.jsonl"
CASES = [json.loads(line) for line in FILE.read_text(encoding="utf-8").splitlines()]


def find_kinds(text):
    return {f"pii:{match.kind}" for match in find_pii(text)} | {f"secret:{match.kind}" for match in find_secrets(text)}


def test_recall_of_every_kind_that_the_report_claims():
    claimed = {f"pii:{kind}" for kind in PiiKind} | {f"secret:{kind}" for kind in SecretKind}
    total, hits = Counter(), Counter()
    for case in CASES:
        found = find_kinds(case["text"])
        total.update(case["truth"])
        hits.update(kind for kind in case["truth"] if kind in found)
    recall = {kind: hits[kind] / total[kind] for kind in claimed}
    assert {kind: round(ratio, 3) for kind, ratio in recall.items() if ratio < MIN_RECALL_RATIO} == {}


def test_false_alarms_on_hard_negatives():
    harmless = [case["text"] for case in CASES if not case["truth"]]
    num_flagged = sum(bool(find_kinds(text)) for text in harmless)
    assert num_flagged <= MAX_FALSE_RATIO * len(harmless)
