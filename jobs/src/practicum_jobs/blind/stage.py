"""The stage ``blind``: draws pairs of answers, seals the key, and writes the page for raters."""

from __future__ import annotations

import hashlib
import json
from pathlib import Path

from pydantic import ValidationError

from practicum_core.atomic import write_text_atomic
from practicum_core.blind_files import KEY_NAME, PAGE_NAME
from practicum_core.errors import DataError
from practicum_core.metrics import Metric
from practicum_core.stages.blind import BlindConfig, BlindRecord
from practicum_core.stages.evaluate import EvaluateRecord, EvaluationSample
from practicum_jobs.blind.model_names import list_uri_names
from practicum_jobs.blind.sheet import Options, Sheet, build_sheet
from practicum_jobs.context import StageContext
from practicum_jobs.render.ballot import render_ballot
from practicum_jobs.scoring.evaluation_samples import read_evaluation_samples, resolve_samples


def run(config: BlindConfig, ctx: StageContext) -> BlindRecord:
    """Write ``artifacts/blind-test.html`` and, apart from it, ``key.json``.

    Raises:
        ConfigError: The samples are named in a way that no file has.
        DataError: The samples cannot be read, or only one model answered.
    """
    path = resolve_samples(config.samples, ctx)
    samples = _choose(read_evaluation_samples(path), config.split, path)
    models = _read_models(path)
    names = [*list_uri_names(models), *config.names]
    options = Options(config.items, config.identical_checks, config.planted_checks, names, config.seed)
    sheet = build_sheet(samples, options, derive_salt(path))
    ctx.raise_if_stopped()
    if sheet is None:
        note = f"both models gave equal answers to all {len(samples)} rows: there is nothing to rate"
        counts = {"blind_pairs": 0, "evaluated_pairs": len(samples), "equal_pairs": len(samples)}
        metrics = [Metric(name=name, value=value) for name, value in counts.items()]
        return BlindRecord(**ctx.build_record_fields(), metrics=metrics, notes=[note])
    return _seal(sheet, models, ctx)


def derive_salt(path: Path) -> str:
    """Return a salt that only a holder of the samples can compute, and that is equal when the test is made again.

    Whoever has the samples knows without any key which model gave which answer. Raters have not.
    """
    return hashlib.sha256(b"practicum blind test\0" + path.read_bytes()).hexdigest()


def _choose(samples: list[EvaluationSample], split: str, path: Path) -> list[EvaluationSample]:
    wanted = split or samples[0].split
    chosen = [one for one in samples if one.split == wanted]
    if not chosen:
        found = ", ".join(sorted({one.split for one in samples}))
        raise DataError(f"{path}: no sample of the split '{wanted}'", f"the file has: {found}")
    paired = [one for one in chosen if one.base is not None and one.candidate is not None]
    if len(paired) < len(chosen):
        raise DataError(
            f"{path}: {len(chosen) - len(paired)} of {len(chosen)} samples have the answer of one model only",
            "evaluate two models first: a base and a candidate",
        )
    return paired


def _read_models(path: Path) -> list[str]:
    """Return the URIs of both models from the record beside the samples; empty where there is none."""
    try:
        record = EvaluateRecord.model_validate_json(path.with_name("record.json").read_bytes())
    except (OSError, ValidationError):
        return ["", ""]
    return [record.model, record.candidate or ""]


def _seal(sheet: Sheet, models: list[str], ctx: StageContext) -> BlindRecord:
    """Write the key first: a page whose key was lost could never be revealed."""
    key = sheet.key.model_copy(update={"base_model": models[0], "candidate_model": models[1]})
    content = json.dumps(key.model_dump(mode="json"), ensure_ascii=False, indent=1) + "\n"
    digest = hashlib.sha256(content.encode()).hexdigest()
    key_path, page_path = ctx.layout.root / KEY_NAME, ctx.layout.artifacts / PAGE_NAME
    page_path.parent.mkdir(parents=True, exist_ok=True)
    write_text_atomic(key_path, content)
    write_text_atomic(page_path, render_ballot(sheet.items, digest, key.items_sha256))
    print(f"sealed: SHA-256 of the key {digest}", flush=True)  # noqa: T201 - the log of the step publishes it
    pairs = [item for item in key.items if item.check is None]
    gaps = [len(item.candidate) - len(item.base) for item in pairs]
    counts = {
        "blind_pairs": len(pairs),
        "blind_checks": len(key.items) - len(pairs),
        "evaluated_pairs": key.num_pairs,
        "equal_pairs": key.num_identical_pairs,
        "names_removed": sum(bool(item.names_removed) for item in pairs),
        "blind_length_gap": sum(gaps) / len(gaps),
    }
    return BlindRecord(
        **ctx.build_record_fields(),
        key_sha256=digest,
        items_sha256=key.items_sha256,
        page=page_path.relative_to(ctx.run.root).as_posix(),
        key=key_path.relative_to(ctx.run.root).as_posix(),
        num_items=len(key.items),
        metrics=[Metric(name=name, value=value) for name, value in counts.items()],
        artifacts=[ctx.describe_artifact(page_path, "page for blind raters")],
    )
