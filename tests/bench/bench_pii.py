"""Prints recall by kind and false alarms of the search for personal data and secrets, as a table of Markdown.

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
    num_harmless = num_flagged = num_other = 0
    for line in FILE.read_text(encoding="utf-8").splitlines():
        case = json.loads(line)
        found = {f"pii:{match.kind}" for match in find_pii(case["text"])}
        found |= {f"secret:{match.kind}" for match in find_secrets(case["text"])}
        total.update(case["truth"])
        hits.update(found & set(case["truth"]))
        num_harmless += not case["truth"]
        num_flagged += bool(found) and not case["truth"]
        num_other += bool(case["truth"]) and bool(found - set(case["truth"]))
    print("| kind | cases | found | recall |\n|---|---|---|---|")
    for kind in sorted(total):
        print(f"| {kind} | {total[kind]} | {hits[kind]} | {hits[kind] / total[kind]:.3f} |")
    print(f"\nOf {num_harmless:,} hard negatives {num_flagged} are flagged ({num_flagged / num_harmless:.1%}).")
    print(f"In {num_other} of the other cases a kind that is not there is found too.")
    results = {kind: {"value": round(hits[kind] / total[kind], 3), "unit": "ratio"} for kind in sorted(total)}
    print(json.dumps({"bench": "pii", "results": results}))


if __name__ == "__main__":
    main()
