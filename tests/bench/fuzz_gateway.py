"""Requests that schemathesis makes of the gateway's description, to a gateway on loopback before a fake engine.

The last line tells the checks' verdict and what was left behind. Without failures the exit status is 0.

Usage: python fuzz_gateway.py [--examples N]       $FUZZ is the environment with schemathesis.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import os
import sys
import tempfile
from pathlib import Path

from fake_engine import MODEL
from gateway_stand import HELLO, build_stand

DESCRIPTION = Path(__file__).parents[2] / "services/gateway/openapi.yaml"
CHECKS = (
    "not_a_server_error",
    "status_code_conformance",
    "content_type_conformance",
    "response_schema_conformance",
    "ignored_auth",
    "unsupported_method",
    "allow_header_conformance",
)
"""Not among them: whether wrong bodies are refused, for the gateway leaves most fields to the engine."""


async def fuzz(num_examples: int) -> bool:
    """Run schemathesis once; return whether all is well."""
    with tempfile.TemporaryDirectory() as folder:
        async with build_stand(Path(folder), limits={"tokens_per_minute": 10**9}) as stand:
            command = [
                str(Path(os.environ["FUZZ"]) / "bin/st"),
                *("run", str(DESCRIPTION), "--url", stand.url, "--header", f"Authorization: Bearer {stand.secret}"),
                *("--checks", ",".join(CHECKS), "--phases", "examples,coverage,fuzzing", "--seed", "1"),
                *("--max-examples", str(num_examples), "--workers", "4", "--warnings", "off", "--continue-on-failure"),
            ]
            process = await asyncio.create_subprocess_exec(*command, cwd=folder)
            status = await process.wait()
            await stand.wait_until_idle(5.0)
            await asyncio.sleep(0.2)
            left = stand.count_left()
            answer = await stand.client().chat.completions.create(model=MODEL, messages=HELLO, max_tokens=2)
            totals = stand.gateway.counters.totals
            line = {"fuzz": "gateway", "status": status, "requests": totals.num_requests, "left": left}
            sys.stdout.write(json.dumps({**line, "errors": totals.num_errors}) + "\n")
            return status == 0 and not any(left.values()) and answer.usage.completion_tokens == 2


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--examples", type=int, default=1000, help="requests for each operation")
    sys.exit(0 if asyncio.run(fuzz(parser.parse_args().examples)) else 1)


if __name__ == "__main__":
    main()
