"""Runs datasketch and Presidio's pattern recognizers on rows of the bench, in the environment `peers`.

python audit_peers.py near FILE.npz      shingle hashes with offsets; prints {"seconds", "num_flagged"}
python audit_peers.py pii FILE.jsonl     one text a line, as JSON strings; prints {"seconds", "num_rows"}
"""

from __future__ import annotations

import itertools
import json
import sys
import time
from pathlib import Path

import numpy as np

NUM_PERMUTATIONS = 36
THRESHOLD = 0.8
MIN_SCORE = 0.3


def run_datasketch(path: Path) -> dict:
    from datasketch import MinHash, MinHashLSH  # noqa: PLC0415 - one peer a process

    arrays = np.load(path)
    hashes, offsets = arrays["hashes"], arrays["offsets"]
    tokens = [value.tobytes() for value in hashes]
    rows = [tokens[start:end] for start, end in itertools.pairwise(offsets)]
    started = time.perf_counter()
    minhashes = MinHash.bulk(rows, num_perm=NUM_PERMUTATIONS, seed=7)
    lsh = MinHashLSH(threshold=THRESHOLD, num_perm=NUM_PERMUTATIONS)
    num_flagged = 0
    for number, minhash in enumerate(minhashes):
        similar = [other for other in lsh.query(minhash) if minhashes[other].jaccard(minhash) >= THRESHOLD]
        num_flagged += bool(similar)
        lsh.insert(number, minhash)
    return {"seconds": time.perf_counter() - started, "num_flagged": num_flagged}


def run_presidio(path: Path) -> dict:
    import tldextract  # noqa: PLC0415 - one peer a process
    from presidio_analyzer.predefined_recognizers import (  # noqa: PLC0415 - as above
        CreditCardRecognizer,
        EmailRecognizer,
        IpRecognizer,
        PhoneRecognizer,
    )

    # The bundled list of suffixes: fetching a newer one is no part of what is measured.
    tldextract.extract = tldextract.TLDExtract(suffix_list_urls=(), cache_dir=None)
    tldextract.tldextract.extract = tldextract.extract
    recognizers = [
        EmailRecognizer(),
        CreditCardRecognizer(),
        IpRecognizer(),
        PhoneRecognizer(supported_regions=("CN", "US", "GB")),
    ]
    texts = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    for recognizer in recognizers:
        recognizer.analyze("warm up a@example.com", recognizer.supported_entities, None)
    started = time.perf_counter()
    num_rows = 0
    for text in texts:
        found = [
            result
            for recognizer in recognizers
            for result in recognizer.analyze(text, recognizer.supported_entities, None) or []
        ]
        num_rows += any(result.score >= MIN_SCORE for result in found)
    return {"seconds": time.perf_counter() - started, "num_rows": num_rows}


if __name__ == "__main__":
    print(json.dumps({"near": run_datasketch, "pii": run_presidio}[sys.argv[1]](Path(sys.argv[2]))))
