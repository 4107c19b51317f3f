"""Describes the servers of a run while they are up, with what its records and those of load tests say of them."""

from __future__ import annotations

import httpx
from pydantic import ValidationError

from practicum_core.atomic import write_text_atomic
from practicum_core.deployment import LANGUAGES, Deployment, write_document
from practicum_core.environment import RunEnvironment
from practicum_core.errors import ConfigError
from practicum_core.layout import RunLayout
from practicum_core.metrics import Metric
from practicum_core.resolve import ResolvedStep
from practicum_core.stages.describe import DescribeConfig, DescribeRecord
from practicum_core.stages.experiments import ExperimentsRecord
from practicum_jobs.context import StageContext, utc_now
from practicum_jobs.describe.capacity import find_capacity, read_steps
from practicum_jobs.describe.findings import list_alerts, list_rungs, list_tried, list_weaknesses
from practicum_jobs.describe.servers import build_component, find_urls, read_rungs

_GIB = 1 << 30


def run(config: DescribeConfig, ctx: StageContext) -> DescribeRecord:
    """Describe the deployment.

    Raises:
        ConfigError: The run has no servers.
        DataError: It cannot be read.
    """
    layout = ctx.find_run(config.run)
    steps = read_steps(layout)
    servers = [step for step in steps if step.spec.is_server]
    if not servers:
        raise ConfigError(f"run {layout.root.name} has no servers", "name a run of practicum serve, or of week 7 or 8")
    environment = _read_environment(layout)
    urls = find_urls(layout, [step.name for step in servers])
    with httpx.Client(timeout=config.timeout_s, trust_env=False) as client:
        components = [build_component(step, urls.get(step.name, ""), client, environment) for step in servers]
        rungs = read_rungs(client, list(urls.values()))
    records = _read_experiments(layout, steps)
    capacity = find_capacity(ctx.experiments, layout, [one.url for one in components if one.is_ready])
    num_engines = sum(step.spec.uses_gpu for step in servers)
    hardware = environment.hardware if environment else None
    deployment = Deployment(
        subject=f"{layout.root.parent.name}/{layout.root.name}",
        made_at=utc_now(),
        version=environment.code.version if environment else "unknown",
        machine=f"{hardware.cpu}, {hardware.logical_cores} cores, {hardware.memory_bytes / _GIB:.0f} GiB"
        if hardware
        else "unknown",
        components=components,
        rungs=list_rungs(rungs, records),
        capacity=capacity,
        tried=list_tried(records),
        weaknesses=list_weaknesses(records, capacity, num_engines, has_alarm=False),
        alerts=list_alerts(),
    )
    for language in LANGUAGES:
        path = ctx.layout.artifacts / f"deployment.{language}.md"
        write_text_atomic(path, write_document(deployment, language))
    counts = {
        "num_components": len(components),
        "num_not_ready": sum(not one.is_ready for one in components),
        "num_weaknesses": len(deployment.weaknesses),
    }
    return DescribeRecord(
        deployment=deployment,
        metrics=[Metric(name=name, value=value) for name, value in counts.items()],
        artifacts=[ctx.describe_artifact(ctx.layout.artifacts, "the description in both languages")],
        **ctx.build_record_fields(),
    )


def _read_environment(run: RunLayout) -> RunEnvironment | None:
    try:
        return RunEnvironment.model_validate_json(run.environment.read_bytes())
    except (OSError, ValidationError):
        return None


def _read_experiments(run: RunLayout, steps: tuple[ResolvedStep, ...]) -> list[ExperimentsRecord]:
    found = []
    for step in steps:
        if issubclass(step.spec.record, ExperimentsRecord):
            try:
                found.append(step.spec.record.model_validate_json(run.stage(step.name).record.read_bytes()))
            except (OSError, ValidationError):
                continue
    return found
