"""Results of a load test written in the forms of other tools, below its artifacts."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from practicum_core.atomic import write_json_atomic
from practicum_core.stages.loadtest import ExportName, LoadSample, LoadtestRecord
from practicum_jobs.load.guidellm_export import build_guidellm_report
from practicum_jobs.load.vllm_export import build_vllm_result


def write_exports(name: ExportName, folder: Path, record: LoadtestRecord, samples: Sequence[LoadSample]) -> None:
    """Write a result in the form of one tool; a rate that was refused is left out.

    ``vllm`` writes a file for each rate, as ``vllm bench serve`` does; ``guidellm`` writes one.

    Args:
        name: The tool.
        folder: Where the files go.
        record: Of the test.
        samples: All of its requests.
    """
    if name == "guidellm":
        write_json_atomic(folder / "guidellm.json", build_guidellm_report(record, samples))
        return
    kept = [level for level in record.levels if not level.refused]
    for level in kept:
        write_json_atomic(folder / f"{name}-{level.rate:g}.json", build_vllm_result(record, level, samples))
