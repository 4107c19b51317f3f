"""Baseline and levers of training in alternating rounds, the profile of a step, and the ladder of memory."""

from __future__ import annotations

import os
import shutil
import statistics
from collections.abc import Sequence
from dataclasses import replace

from practicum_core.machine import count_usable_cores, list_gpus, read_gpu_utilization
from practicum_core.metrics import Metric
from practicum_core.stages.base import Failure
from practicum_core.stages.levers import BASELINE, CONTROL, LeverRow
from practicum_core.stages.sft import SftConfig
from practicum_core.stages.trainprofile import Rung, TrainProfileConfig, TrainProfileRecord, is_exact
from practicum_jobs.adapters.lever_measurement import StepPlan, TrainingMeasurement
from practicum_jobs.adapters.training_job import TrainingJob, get_work_dir, read_rows
from practicum_jobs.context import StageContext
from practicum_jobs.levers.comparison import build_rows, plan_order
from practicum_jobs.levers.processes import Measured, MeasuringProcesses
from practicum_jobs.levers.results import build_lever_failures, build_lever_metrics
from practicum_jobs.training.encoding import encode_rows
from practicum_jobs.training.facts import measure_free_memory, read_model_facts
from practicum_jobs.training.memory import GIB
from practicum_jobs.training.preflight import check_options
from practicum_jobs.training.preparation import prepare_training
from practicum_jobs.trainprofile.effects import compare_losses
from practicum_jobs.trainprofile.efficiency import estimate_mfu
from practicum_jobs.trainprofile.ladder import (
    Estimator,
    count_estimated_bytes,
    find_largest_ratio,
    find_worst_ratio,
    measure_saving,
)
from practicum_jobs.trainprofile.phases import group_operations, list_phases, name_bottleneck
from practicum_jobs.trainprofile.probe import measure_training

TRAINER = "practicum_jobs.adapters.completion_trainer:build_trainer"
LIBRARIES = ("practicum_jobs.adapters.lever_training", "practicum_jobs.adapters.completion_trainer")
CPU_LIBRARIES = ("bitsandbytes", "deepspeed")
"""Those that ask for GPUs when they are imported: a process that was forked after that cannot use one."""
DECIDING = "tokens_per_s"


def run(config: TrainProfileConfig, ctx: StageContext) -> TrainProfileRecord:
    """Measure the baseline, every lever and every rung of the ladder, each in processes of its own.

    Raises:
        ConfigError: The baseline cannot be trained; every problem in one message.
        DataError: A split is empty.
        Stopped: A stop was requested.
    """
    prepared = prepare_training(config.build_training(), ctx, encode_rows, TRAINER)
    try:
        return _Bench(config, ctx, prepared.job).measure()
    finally:
        for folder in (get_work_dir(ctx), ctx.layout.root / "checkpoints"):
            shutil.rmtree(folder, ignore_errors=True)


class _Bench:
    """Everything that the measurements of one run share."""

    def __init__(self, config: TrainProfileConfig, ctx: StageContext, job: TrainingJob) -> None:
        self._config, self._ctx, self._job = config, ctx, job
        libraries = LIBRARIES if list_gpus() else LIBRARIES + CPU_LIBRARIES
        # Lets torch look for GPUs without starting CUDA, which a forked process could not use then.
        os.environ["PYTORCH_NVML_BASED_CUDA_CHECK"] = "1"
        self._processes = MeasuringProcesses(ctx, libraries, config.timeout_s)
        self._free = measure_free_memory(job.config)
        rows = read_rows(job.work_dir / "train.npz")
        self._estimator = Estimator(read_model_facts(job.model_dir).shape, rows, self._free.is_gpu)
        self._gpus = list_gpus()
        self._busy: list[float] = []
        self._num_done = 0
        self._num_planned = config.rounds * (2 + len(config.levers)) + len(config.ladder) + 1

    def measure(self) -> TrainProfileRecord:
        names = [BASELINE, CONTROL, *self._config.levers]
        problems = {name: self._find_problem(self._build(name)) for name in names}
        measured: list[dict[str, TrainingMeasurement]] = []
        for order in plan_order(names, self._config.rounds, self._config.seed):
            found = {}
            for name in order:
                if problems[name]:
                    continue
                one = self._run(name, self._build(name), self._config.steps)
                problems[name] = one.problem
                if one.result is not None:
                    found[name] = one.result
            measured.append(found)
        rows = build_rows(names, [_list_figures(one) for one in measured], DECIDING)
        rows = [self._add_effect(row, measured, problems[row.name]) for row in rows]
        profiled = self._run(
            "the step of the baseline", self._build(BASELINE), self._config.profiled_steps, is_profiled=True
        )
        return self._build_record(rows, [one[BASELINE] for one in measured if BASELINE in one], profiled)

    def _build(self, name: str) -> SftConfig:
        return self._config.build_training(*([] if name in (BASELINE, CONTROL) else [name]))

    def _find_problem(self, training: SftConfig) -> str:
        """Return why options are not tried; empty where they are."""
        problems = check_options(training)
        needed = self._estimator.estimate(training).total
        if needed > self._free.free_gib:
            problems.append(f"needs about {needed:.2f} GiB, and {self._free.free_gib:.2f} GiB are free")
        return "; ".join(problems)

    def _run(
        self, name: str, training: SftConfig, steps: int, *, is_profiled: bool = False
    ) -> Measured[TrainingMeasurement]:
        self._ctx.raise_if_stopped()
        self._ctx.progress(self._num_done / self._num_planned, f"measuring {name}")
        self._num_done += 1
        job = replace(self._job, config=training, num_steps=steps + 1)
        look = self._look if self._gpus and name == BASELINE else None
        return self._processes.call(measure_training, StepPlan(job, steps, is_profiled=is_profiled), look)

    def _look(self) -> None:
        """Note how busy the GPU is; it is idle while a process loads its model."""
        share = read_gpu_utilization()
        if share:
            self._busy.append(share)

    def _add_effect(self, row: LeverRow, measured: Sequence[dict[str, TrainingMeasurement]], problem: str) -> LeverRow:
        both = next((one for one in measured if {BASELINE, row.name} <= one.keys()), None)
        update: dict[str, object] = {"note": problem}
        if both is not None and row.name != BASELINE:
            size = compare_losses(both[BASELINE], both[row.name])
            if size is not None:
                effect = "same" if size <= self._config.loss_tolerance else "changed"
                update |= {"effect": effect, "effect_size": size}
        return row.model_copy(update=update)

    def _climb(self) -> list[Rung]:
        rungs = []
        for number, name in enumerate(self._config.ladder):
            training = self._config.build_training(*self._config.ladder[: number + 1])
            estimated = count_estimated_bytes(self._estimator.estimate(training))
            problem = self._find_problem(training)
            one = Measured[TrainingMeasurement](None, problem) if problem else self._run(name, training, 1)
            found = one.result
            rungs.append(
                Rung(
                    name=name,
                    estimated_bytes=estimated,
                    peak_bytes=None if found is None else found.peak_bytes - found.start_bytes,
                    step_s=None if found is None else found.steps[-1].seconds,
                    note=one.problem,
                )
            )
        return rungs

    def _build_record(
        self,
        rows: Sequence[LeverRow],
        baselines: Sequence[TrainingMeasurement],
        profiled: Measured[TrainingMeasurement],
    ) -> TrainProfileRecord:
        ladder = self._climb()
        profile = profiled.result.profile if profiled.result is not None else None
        phases = [] if profile is None else list_phases(profile.phases_s, profile.num_steps, profile.step_s)
        operations = [] if profile is None else group_operations(profile.operations_s, profile.num_steps)
        bottleneck = name_bottleneck(phases, operations) if phases else None
        gpus, cores = self._gpus, count_usable_cores()
        baseline = rows[0].figures
        shares = self._busy if gpus else [one.cpu_ratio / cores for one in baselines]
        utilization = statistics.median(shares) if shares else None
        mfu = estimate_mfu(baselines[0], baseline[DECIDING], self._job.config, gpus) if baselines else None
        metrics = build_lever_metrics(rows, DECIDING, {name for name in self._config.levers if is_exact(name)})
        optional = {
            "step_s": baseline.get("step_s"),
            "phase_coverage": sum(one.ratio for one in phases) if phases else None,
            "largest_phase_ratio": max(one.ratio for one in phases) if phases else None,
            "data_ratio": phases[0].ratio if phases else None,
            "bottleneck_named": float(bottleneck is not None),
            "estimate_ratio_largest": find_largest_ratio(ladder),
            "estimate_ratio_worst": find_worst_ratio(ladder),
            "ladder_saving": measure_saving(ladder),
            "utilization": utilization,
            "mfu": mfu,
        }
        metrics += [Metric(name=name, value=value) for name, value in optional.items() if value is not None]
        failures = build_lever_failures(rows, {name for name in self._config.levers if is_exact(name)})
        failures += [Failure(kind="too_large", where=one.name, text=one.note) for one in ladder if one.note]
        return TrainProfileRecord(
            **self._ctx.build_record_fields(),
            subject="training",
            baseline_options=self._config.baseline,
            deciding_figure=DECIDING,
            rows=list(rows),
            cores=cores,
            gpus=gpus,
            utilization=utilization,
            mfu=mfu,
            ladder=ladder,
            phases=phases,
            operations=operations,
            bottleneck_en=bottleneck.en if bottleneck else "",
            bottleneck_zh=bottleneck.zh if bottleneck else "",
            metrics=metrics,
            failures=failures,
            notes=[] if not profiled.problem else [f"profile: {profiled.problem}"],
        )


def _list_figures(measured: dict[str, TrainingMeasurement]) -> dict[str, dict[str, float]]:
    """Return the figures of each lever in one round; memory is that above the empty process, in GiB."""
    found = {}
    for name, one in measured.items():
        seconds = sum(step.seconds for step in one.steps)
        found[name] = {
            "tokens_per_s": sum(step.num_tokens for step in one.steps) / seconds,
            "step_s": seconds / len(one.steps),
            "peak_gib": (one.peak_bytes - one.start_bytes) / GIB,
        }
    return found
