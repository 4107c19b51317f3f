"""The stage ``capstone``: checks the chain, compares the repeated steps, writes the documents."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from pathlib import Path

from practicum_core.errors import ConfigError, DataError
from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.capstone import HARMLESS_BREAKS, CapstoneConfig, CapstoneRecord, WeekCheck
from practicum_core.stages.snapshot import SplitLock
from practicum_jobs.capstone.chain import PresentData, count_hashes, find_breaks
from practicum_jobs.capstone.documents import write_documents
from practicum_jobs.capstone.facts import list_shown
from practicum_jobs.capstone.reruns import Tolerances, check_reruns
from practicum_jobs.capstone.weeks import Week, find_absent, read_present, read_weeks
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.sources import open_input, read_strictly
from practicum_jobs.datasets.store import write_split


def run(config: CapstoneConfig, ctx: StageContext) -> CapstoneRecord:
    """Check every link of the weeks, compare the repeated steps with their records, and write the documents.

    Raises:
        ConfigError: No week is named, a repeated step is paired with one of no week, or a shown step has no record.
        DataError: A week's evidence is missing, broken or another run's.
        Stopped: A stop was requested.
    """
    if not config.weeks:
        raise ConfigError("capstone.weeks names no week", "give references such as latest:sft/evidence/evidence.json")
    weeks = read_weeks([Path(ctx.resolve_uri(uri, "evidence")) for uri in config.weeks])
    now = read_present(ctx.run)
    data = _freeze_again(weeks, now, ctx)
    checks: list[WeekCheck] = []
    absent = find_absent(config.expected, weeks)
    failures = [Failure(kind="week_absent", where=unit, text="no run of it is among the weeks") for unit in absent]
    for number, week in enumerate(weeks):
        ctx.raise_if_stopped()
        ctx.progress(0.8 * number / len(weeks), f"hashing {week.name}")
        found = list(find_breaks(week, now, data, ctx.experiments))
        checks.append(_check_week(week, found))
        failures += found
    tolerances = Tolerances(config.tolerance, config.speed_ratio)
    reruns, differing = check_reruns(config.reruns, weeks, now, tolerances)
    ctx.progress(0.9, "writing the documents")
    record = CapstoneRecord(
        **ctx.build_record_fields(),
        weeks=checks,
        reruns=reruns,
        shown=list_shown(ctx.run, config.shown),
        failures=[*failures, *differing],
        metrics=[
            Metric(name="num_weeks", value=len(weeks)),
            Metric(name="num_absent_weeks", value=len(absent)),
            Metric(name="num_weeks_passed", value=sum(week.evidence.verdict == "passed" for week in weeks)),
            Metric(name="num_hashes", value=sum(check.num_files for check in checks)),
            Metric(name="num_broken_links", value=sum(check.num_broken for check in checks)),
            Metric(name="num_reruns", value=len(reruns)),
            Metric(name="num_differing_reruns", value=sum(one.agreement == "differs" for one in reruns)),
        ],
    )
    files = write_documents(weeks, record, ctx.layout.artifacts)
    artifacts = [ctx.describe_artifact(path, note) for path, note in files]
    return record.model_copy(update={"artifacts": artifacts, **ctx.build_record_fields()})


def _freeze_again(weeks: Sequence[Week], now: Week, ctx: StageContext) -> PresentData:
    """Return the splits of the present run's data, and those of the weeks' built-in data sets, which are made again.

    One that this version cannot make breaks a link of its weeks, and no other.
    """
    found: dict[str, Mapping[str, SplitLock] | str] = {now.data.uri: now.data.splits} if now.data else {}
    for uri in {week.data.uri for week in weeks if week.data and week.data.uri.startswith("builtin:")} - set(found):
        try:
            source = open_input(uri, ctx)
            found[uri] = {split: write_split(read_strictly(source, split), ctx.cache_dir) for split in source.splits}
        except (ConfigError, DataError) as error:
            found[uri] = error.detail
    return found


def _check_week(week: Week, found: list[Failure]) -> WeekCheck:
    return WeekCheck(
        unit=week.unit,
        run_id=week.layout.root.name,
        verdict=week.evidence.verdict,
        num_files=count_hashes(week),
        num_broken=sum(failure.kind not in HARMLESS_BREAKS for failure in found),
        verified=week.verified,
    )
