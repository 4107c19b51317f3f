"""Prints recall by kind and false alarms by shape of the search for personal data and secrets, as tables of Markdown.

The cases (tests/cases/pii.jsonl) were written before the detector and not by whoever wrote it.
"""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path

from practicum_jobs.text.pii import find_pii
from practicum_jobs.text.secrets import find_secrets

FILE = Path(__file__).parents[1] / "cases" / "pii.jsonl"


def main() -> None:
    total: Counter[str] = Counter()
    hits: Counter[str] = Counter()
    shapes: Counter[str] = Counter()
    flagged: Counter[str] = Counter()
    num_other = 0
    for line in FILE.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        found = {f"pii:{match.kind}" for match in find_pii(case["text"])}
        found |= {f"secret:{match.kind}" for match in find_secrets(case["text"])}
        total.update(case["truth"])
        hits.update(found & set(case["truth"]))
        if not case["truth"]:
            shapes[case["shape"]] += 1
            flagged[case["shape"]] += bool(found)
        num_other += bool(case["truth"]) and bool(found - set(case["truth"]))
    print("| kind | cases | found | recall |\n|---|---|---|---|")
    for kind in sorted(total):
        print(f"| {kind} | {total[kind]} | {hits[kind]} | {hits[kind] / total[kind]:.3f} |")
    print("\n| hard negatives | cases | flagged |\n|---|---|---|")
    for shape in sorted(shapes):
        print(f"| {shape} | {shapes[shape]} | {flagged[shape]} |")
    share = flagged.total() / shapes.total()
    print(f"\nOf {shapes.total():,} hard negatives {flagged.total()} are flagged ({share:.1%}).")
    print(f"In {num_other} of the other cases a kind that is not there is found too.")
    results = {kind: {"value": round(hits[kind] / total[kind], 3), "unit": "ratio"} for kind in sorted(total)}
    print(json.dumps({"bench": "pii", "results": results}))


if __name__ == "__main__":
    main()
