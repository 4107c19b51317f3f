"""A few optimizer steps of a training job, timed: what they took, what the process held, and where the time went.

Nothing is evaluated, saved or exported. The trainer is the one that the job names, so what is measured is what a
training stage would do with the same options.
"""

from __future__ import annotations

import os
import pkgutil
import time
from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import psutil
import torch
import transformers

from practicum_jobs.adapters.lever_measurement import StepPlan, StepProfile, TimedStep, TrainingMeasurement
from practicum_jobs.adapters.training_interfaces import CountingTrainer, TrainerLink
from practicum_jobs.adapters.training_job import SavedCheckpoint, TrainingJob
from practicum_jobs.adapters.trl_training import count_parameters, prepare_process

WARM_UP_STEPS = 1
"""The first step allocates the optimizer's state and warms every cache."""
_KIB = 1024


class _AloneLink(TrainerLink):
    """The only worker, which keeps no checkpoints."""

    rank = 0
    world_size = 1

    def get_resume_folder(self) -> Path | None:
        return None

    def report(self, folder: Path | None, metrics: Mapping[str, float], name: str) -> None:
        del folder, metrics, name

    def list_checkpoints(self) -> list[SavedCheckpoint]:
        return []


class _StepClock(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Notes when each step ended, and calls back when the warm-up is over.

    Args:
        trainer: Whose tokens are counted.
        begin: Called at the end of the warm-up.
    """

    def __init__(self, trainer: CountingTrainer, begin: Callable[[], None]) -> None:
        self._trainer = trainer
        self._begin = begin
        self.ends_s: list[float] = []
        self.cpu_ends_s: list[float] = []
        self.tokens: list[int] = []
        self.losses: list[float] = []

    def on_step_end(self, _args: Any, state: Any, _control: Any, **_: Any) -> None:  # noqa: ANN401 - the library's
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if state.global_step == WARM_UP_STEPS:
            self._begin()
        self.ends_s.append(time.perf_counter())
        self.cpu_ends_s.append(_read_cpu_s())
        self.tokens.append(self._trainer.num_tokens)

    def on_log(self, _args: Any, _state: Any, _control: Any, logs: Any = None, **_: Any) -> None:  # noqa: ANN401 - as above
        if logs and "loss" in logs:
            self.losses.append(float(logs["loss"]))


@dataclass
class _PhaseClock:
    """Sums the wall time of each part of a step."""

    seconds: dict[str, float] = field(default_factory=dict)
    is_running: bool = False

    def wrap(self, name: str, function: Callable[..., Any]) -> Callable[..., Any]:
        """Return the function with its time added to a phase."""

        def timed(*args: Any, **kwargs: Any) -> Any:  # noqa: ANN401 - passed through
            started_s = time.perf_counter()
            try:
                return function(*args, **kwargs)
            finally:
                self.add(name, started_s)

        return timed

    def add(self, name: str, started_s: float) -> None:
        """Add the time since ``started_s`` to a phase."""
        if torch.cuda.is_available():
            torch.cuda.synchronize()
        if self.is_running:
            self.seconds[name] = self.seconds.get(name, 0.0) + time.perf_counter() - started_s


class _OptimizerClock(transformers.TrainerCallback):  # type: ignore[misc]  # as above
    """Times the optimizer's step, whose method torch's schedulers replace."""

    def __init__(self, phases: _PhaseClock) -> None:
        self._phases = phases
        self._started_s = 0.0

    def on_pre_optimizer_step(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the library's
        self._started_s = time.perf_counter()

    def on_optimizer_step(self, *_: Any, **__: Any) -> None:  # noqa: ANN401 - the library's
        self._phases.add("optimizer", self._started_s)


def measure_steps(plan: StepPlan) -> TrainingMeasurement:
    """Build the trainer, train a warm-up step and the steps that are measured, and return what they took.

    The process should do nothing else, before or after: its peak memory counts from its start.
    """
    prepare_process(plan.job)
    start_bytes = _read_memory("VmRSS")
    build: Callable[[TrainingJob, TrainerLink], CountingTrainer] = pkgutil.resolve_name(plan.job.trainer)
    trainer = build(plan.job, _AloneLink())
    trainer.args.eval_strategy = trainer.args.save_strategy = "no"
    trainer.args.logging_steps = 1
    loaded_bytes = _read_memory("VmRSS")
    trainable, total = count_parameters(trainer.model)
    phases, profiler = _PhaseClock(), _build_profiler() if plan.is_profiled else None

    def begin() -> None:
        phases.is_running = True
        if profiler is not None:
            profiler.start()

    clock = _StepClock(trainer, begin)
    trainer.add_callback(clock)
    if plan.is_profiled:
        _time_phases(trainer, phases)
    trainer.train()
    if profiler is not None:
        profiler.stop()
    # What comes after the last step, the end of the profiler above all, is no work of the steps.
    wall_s = clock.ends_s[-1] - clock.ends_s[WARM_UP_STEPS - 1]
    cpu_s = clock.cpu_ends_s[-1] - clock.cpu_ends_s[WARM_UP_STEPS - 1]
    return TrainingMeasurement(
        steps=_list_steps(clock),
        first_loss=clock.losses[0],
        start_bytes=start_bytes,
        loaded_bytes=loaded_bytes,
        peak_bytes=_read_memory("VmHWM"),
        cpu_ratio=cpu_s / wall_s,
        num_parameters=total,
        num_trainable_parameters=trainable,
        profile=None if profiler is None else _summarize(profiler, phases, plan.num_steps, wall_s),
    )


def _list_steps(clock: _StepClock) -> list[TimedStep]:
    return [
        TimedStep(clock.ends_s[at] - clock.ends_s[at - 1], clock.tokens[at] - clock.tokens[at - 1], clock.losses[at])
        for at in range(WARM_UP_STEPS, len(clock.ends_s))
    ]


def _time_phases(trainer: Any, phases: _PhaseClock) -> None:  # noqa: ANN401 - the library's trainer
    trainer.get_batch_samples = phases.wrap("data", trainer.get_batch_samples)
    trainer._prepare_inputs = phases.wrap("data", trainer._prepare_inputs)  # noqa: SLF001 - has no public name
    trainer.compute_loss = phases.wrap("forward", trainer.compute_loss)
    trainer.accelerator.backward = phases.wrap("backward", trainer.accelerator.backward)
    trainer.accelerator.clip_grad_norm_ = phases.wrap("optimizer", trainer.accelerator.clip_grad_norm_)
    trainer.add_callback(_OptimizerClock(phases))


def _build_profiler() -> torch.profiler.profile:
    activities = [torch.profiler.ProfilerActivity.CPU]
    if torch.cuda.is_available():
        activities.append(torch.profiler.ProfilerActivity.CUDA)
    return torch.profiler.profile(activities=activities)


def _summarize(profiler: Any, phases: _PhaseClock, num_steps: int, wall_s: float) -> StepProfile:  # noqa: ANN401 - untyped
    is_gpu = torch.cuda.is_available()
    operations = {
        event.key: (event.self_device_time_total if is_gpu else event.self_cpu_time_total) / 1e6
        for event in profiler.key_averages()
    }
    return StepProfile(num_steps, wall_s, dict(phases.seconds), {name: s for name, s in operations.items() if s > 0})


def _read_memory(field_name: str) -> int:
    """Return a figure of this process, or what tensors take on its GPU, in bytes.

    Linux only: ``ru_maxrss`` of a process that was forked begins with the largest size of the one that forked it.
    """
    if torch.cuda.is_available():
        is_peak = field_name == "VmHWM"
        return int(torch.cuda.max_memory_allocated() if is_peak else torch.cuda.memory_allocated())
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * _KIB for line in lines if line.startswith(f"{field_name}:"))


def _read_cpu_s() -> float:
    times = psutil.Process(os.getpid()).cpu_times()
    return float(times.user + times.system)
