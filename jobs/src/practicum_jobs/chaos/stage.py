"""Runs the experiments of a configuration against the service of its run, and records what clients got."""

from __future__ import annotations

import asyncio
import os
import time
from collections import Counter
from collections.abc import Mapping, Sequence
from urllib.parse import urlsplit

import aiohttp
import numpy as np

from practicum_core.api_keys import KEY_FILE, KeyLimits
from practicum_core.errors import ConfigError, PlatformError
from practicum_core.faults import FAULT_KEY_FILE
from practicum_core.json_files import read_json_or_empty
from practicum_core.layout import RunLayout
from practicum_core.metrics import Metric
from practicum_core.reports import STEP_VARIABLE, PodStep
from practicum_core.stage_process import find_server_key
from practicum_core.stages.base import Artifact, Failure
from practicum_core.stages.chaos import ChaosConfig, ChaosRecord
from practicum_core.stages.experiments import Experiment, Verdict
from practicum_core.stages.load_results import LoadSample
from practicum_jobs.chaos.actions import leave_out
from practicum_jobs.chaos.cluster_api import ClusterAccess, ClusterApi, find_access
from practicum_jobs.chaos.commands import build_cluster_command, build_command
from practicum_jobs.chaos.files import read_experiment
from practicum_jobs.chaos.local_servers import LocalServers
from practicum_jobs.chaos.outcome import build_timeline, count_returns, list_unlike_repeats, measure_rungs
from practicum_jobs.chaos.pods import PodServers
from practicum_jobs.chaos.recorder import Recorder
from practicum_jobs.chaos.replays import (
    Recorded,
    build_replay_fields,
    count_replays,
    list_replay_failures,
    read_recorded,
)
from practicum_jobs.chaos.runner import Runner
from practicum_jobs.chaos.servers import Servers
from practicum_jobs.chaos.traffic import Traffic
from practicum_jobs.chaos.trials import Laboratory, Trial, explain
from practicum_jobs.chaos.world import Addresses, World
from practicum_jobs.context import StageContext
from practicum_jobs.datasets.store import load_split
from practicum_jobs.load.fleet import Target, start_fleet
from practicum_jobs.load.masking import Masker
from practicum_jobs.load.prompts import Prompt, build_row_prompts, write_prompt
from practicum_jobs.load.server import find_model, hold_key, split_address

RECORDINGS = "recordings"
_REFUSALS = frozenset({"http_400", "http_404", "http_413", "http_422"})


def run(config: ChaosConfig, ctx: StageContext) -> ChaosRecord:
    """Run the experiments, one after another.

    Raises:
        ConfigError: An experiment is not valid; or the first one has no target, or the gateway's ladder is off.
        PlatformError: The gateway does not answer, or a client process died, before anything was found.
        Stopped: A stop was requested; every fault was taken back first.
    """
    recorded = read_recorded(config, ctx)
    experiments = list(recorded.experiments) if recorded else []
    if config.recording is None:
        experiments = [(name, read_experiment(name)) for name in config.experiments]
    notes: list[str] = []
    reason = _explain_no_servers(config, ctx)
    if reason:
        experiments, left_out = leave_out(experiments)
        notes = [f"left out, since {reason}: {', '.join(left_out)}"] if left_out else []
    zero_s = time.monotonic()
    with hold_key(config, ctx, KeyLimits()) as key:
        trials = asyncio.run(_run_all(config, ctx, experiments, recorded, key, zero_s))
    replay_fields, replays = build_replay_fields(recorded, [trial.seen for trial in trials], config)
    samples = [sample for trial in trials for sample in trial.course.samples]
    changes = [change for trial in trials for change in trial.course.changes]
    ctx.write_samples(samples)
    end_s = time.monotonic() - zero_s
    results = [trial.result for trial in trials]
    return ChaosRecord(
        url=config.url,
        results=results,
        timeline=build_timeline(samples, changes, end_s),
        rungs=measure_rungs(samples),
        metrics=build_metrics(trials, count_replays(replays, config.replays) if config.recording else {}),
        failures=[
            Failure(kind=one.verdict, where=one.name, text=explain(one))
            for one in results
            if one.verdict is not Verdict.HELD
        ]
        + [Failure(kind="not_recorded", where=one.name, text=one.not_recorded) for one in trials if one.not_recorded]
        + list_replay_failures(replays),
        artifacts=_list_artifacts(config, ctx),
        notes=notes,
        **replay_fields,
        **ctx.build_record_fields(),
    )


async def _run_all(
    config: ChaosConfig,
    ctx: StageContext,
    experiments: Sequence[tuple[str, Experiment]],
    recorded: Recorded | None,
    key: str,
    zero_s: float,
) -> list[Trial]:
    prompts = _build_prompts(config, ctx)
    trials: list[Trial] = []
    addresses = _build_addresses(config, ctx, key)
    async with aiohttp.ClientSession(trust_env=False, timeout=aiohttp.ClientTimeout(total=30)) as session:
        world = World(_build_servers(config, ctx, session), session, addresses)
        url = f"{split_address(config.url)[1]}/chat/completions"
        target = Target(
            url,
            key,
            addresses.model,
            is_chat=True,
            ignore_eos=config.ignore_eos,
            timeout_s=config.timeout_s,
            is_traced=config.traces,
        )
        async with start_fleet(target, config.num_clients, zero_s) as fleet:
            traffic = Traffic(fleet, prompts, config.rate, config.max_tokens, config.timeout_s, config.seed)
            _check_first(config, await traffic.start())
            traffic = recorded.build_traffic(traffic) if recorded else traffic
            recorder = _build_recorder(config, ctx, session, prompts, zero_s)
            runner = Runner(world, traffic, config.steady_timeout_s, zero_s, lambda: ctx.is_stop_requested)
            laboratory = Laboratory(runner, recorder, zero_s)
            for number, (name, experiment) in enumerate(experiments):
                ctx.progress(number / len(experiments), experiment.title)
                trial = await laboratory.make(number, name, experiment, _build_repeat(config, ctx, name))
                trials.append(trial)
                result = trial.result
                print(f"{name}: {result.verdict}, {explain(result)}", flush=True)  # noqa: T201 - the step's log
                if result.verdict is Verdict.NOT_UNDONE:
                    # Whatever came next would meet this fault too.
                    break
    return trials


def _build_repeat(config: ChaosConfig, ctx: StageContext, experiment: str) -> str:
    """Build the command that makes an experiment again, on a cluster as a week job."""
    told = os.environ.get(STEP_VARIABLE)
    if told is not None:
        return build_cluster_command(PodStep.model_validate_json(told).weekjob, ctx.step, experiment)
    return build_command(ctx.run.root.parent.name, experiment, config)


def _build_prompts(config: ChaosConfig, ctx: StageContext) -> list[Prompt]:
    if config.split:
        return build_row_prompts(load_split(ctx, config.split, config.num_prompts))
    rng = np.random.default_rng(config.seed)
    return [write_prompt(config.prompt_tokens, rng) for _ in range(config.num_prompts)]


def _build_recorder(
    config: ChaosConfig, ctx: StageContext, session: aiohttp.ClientSession, prompts: Sequence[Prompt], zero_s: float
) -> Recorder | None:
    """Build what takes recordings, to keep them or to compare replays; ``None`` where neither is wanted."""
    if not (config.record or config.recording):
        return None
    folder = ctx.layout.artifacts / RECORDINGS if config.record else None
    if folder is not None:
        # There even where no fault could be made: a step that replays finds it empty then, and says so.
        folder.mkdir(parents=True, exist_ok=True)
    key = find_server_key(config.url, os.environ)
    return Recorder(session, config.url, key, ctx.run, prompts, folder, zero_s, Masker())


def _list_artifacts(config: ChaosConfig, ctx: StageContext) -> list[Artifact]:
    folder = ctx.layout.artifacts / RECORDINGS
    return [ctx.describe_artifact(folder, "recordings")] if config.record and folder.exists() else []


def _find_run(config: ChaosConfig, ctx: StageContext) -> RunLayout | None:
    """Return the run whose servers are broken; ``None`` where a server is named that belongs to no run."""
    if config.service_run:
        return ctx.find_run(config.service_run)
    has_servers = any(ctx.run.stages.glob("*/port.json"))
    return ctx.run if has_servers else None


def _build_servers(config: ChaosConfig, ctx: StageContext, session: aiohttp.ClientSession) -> Servers:
    run, access = _find_run(config, ctx), find_access(os.environ)
    if run is None and access is not None:
        return PodServers(ClusterApi(access, session), ctx.run)
    return LocalServers(run, ctx.step)


def _explain_no_servers(config: ChaosConfig, ctx: StageContext) -> str:
    """Say why no server of the run can be broken here; empty where it can."""
    if _find_run(config, ctx) is not None:
        return ""
    access = find_access(os.environ)
    return "the servers run elsewhere" if access is None else asyncio.run(_explain_no_pods(access))


async def _explain_no_pods(access: ClusterAccess) -> str:
    async with aiohttp.ClientSession(trust_env=False) as session:
        try:
            await ClusterApi(access, session).list_pods()
        except PlatformError as error:
            return error.detail
    return ""


def _build_addresses(config: ChaosConfig, ctx: StageContext, key: str) -> Addresses:
    proxy_key = find_server_key(config.proxy_url, os.environ)
    if config.service_run and config.proxy_url:
        proxy_key = _read_proxy_key(ctx.find_run(config.service_run), config.proxy_url)
    keys = ctx.experiments / KEY_FILE if config.own_key else None
    return Addresses(config.url, key, config.proxy_url, proxy_key, find_model(config.url, config, key), keys)


def _read_proxy_key(run: RunLayout, url: str) -> str:
    """Read the key of a fault proxy of another run of this user; empty where it asks for none."""
    for path in sorted(run.stages.glob(f"*/{FAULT_KEY_FILE}")):
        if read_json_or_empty(path.with_name("port.json")).get("port") == urlsplit(url).port:
            return path.read_text(encoding="utf-8")
    return ""


def _check_first(config: ChaosConfig, sample: LoadSample) -> None:
    """Refuse a server that refuses such requests at all: every experiment would end with errors of the right kind.

    Raises:
        ConfigError: It does.
    """
    if sample.error in _REFUSALS:
        raise ConfigError(
            f"{config.url}: the server refuses such a request ({sample.error}): {sample.error_text}",
            "change max_tokens, prompt_tokens or ignore_eos of the step accordingly",
        )


def build_metrics(trials: Sequence[Trial], replays: Mapping[str, int]) -> list[Metric]:
    """Build the metrics of the record: what experiments came to, and replays where there are some."""
    results = [trial.result for trial in trials]
    tried = [one for one in results if one.verdict not in (Verdict.NOT_STEADY, Verdict.BROKEN_OFF)]
    verdicts = Counter(one.verdict for one in results)
    counts = {
        "num_experiments": len(results),
        "num_held": verdicts[Verdict.HELD],
        "num_deviated": verdicts[Verdict.DEVIATED],
        "num_not_steady": verdicts[Verdict.NOT_STEADY],
        "num_not_undone": verdicts[Verdict.NOT_UNDONE],
        "num_broken_off": verdicts[Verdict.BROKEN_OFF],
        "num_not_recorded": sum(bool(trial.not_recorded) for trial in trials),
        "num_not_back": sum(one.name == "ladder_back" and not one.is_met for each in tried for one in each.findings),
        "num_unlike_repeats": len(list_unlike_repeats(tried)),
        "max_returns": max((count_returns(one.changes) for one in tried), default=0),
        **{
            name: sum(getattr(one, name) for one in results)
            for name in ("num_requests", "num_full", "num_degraded", "num_errors", "num_lost")
        },
        **replays,
    }
    seconds = {
        name: max(found)
        for name in ("down_s", "back_s")
        if (found := [value for one in tried if (value := getattr(one, name)) is not None])
    }
    return [Metric(name=name, value=value) for name, value in counts.items()] + [
        Metric(name=name, value=value, unit="s") for name, value in seconds.items()
    ]
