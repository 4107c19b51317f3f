# ruff: noqa: N806, ANN401 - shapes stand in names; arguments are the library's own and untyped here
"""Callbacks of the training loop: curves, stopping, samples, checkpoints. None of them makes ranks wait for each other.

Every rank sees the same logged loss, so every rank stops a diverged run after the same step by itself.
"""

from __future__ import annotations

import time
from pathlib import Path
from typing import Any

import torch
import transformers

from practicum_core.atomic import append_json_line, write_json_atomic, write_text_atomic
from practicum_core.curves import RESTART
from practicum_core.stages.training import CheckpointSample
from practicum_jobs.adapters.training_interfaces import CountingTrainer, TrainerLink
from practicum_jobs.adapters.training_job import Fault, TokenRow, TrainingJob, is_sharded, read_rows

_CURVES = ("loss", "learning_rate", "grad_norm", "eval_loss", "num_tokens")


class CurveWriter(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Appends each logged step to the metric series, publishes progress, and checks for divergence.

    Args:
        job: What is trained.
        trainer: For the number of tokens.
        link: Only rank 0 writes.
    """

    def __init__(self, job: TrainingJob, trainer: CountingTrainer, link: TrainerLink) -> None:
        self._job = job
        self._trainer = trainer
        self._rank = link.rank
        self._layout = job.open_context().layout
        self._began_s = 0.0
        self._step_began_s = 0.0
        self._step_tokens_before = 0
        self.resumed_from_step: int | None = None
        self.fault: Fault | None = None
        self.startup_s = 0.0
        self.train_s = 0.0
        self.step_s = 0.0
        self.step_tokens = 0

    def on_train_begin(
        self, _args: Any, state: transformers.TrainerState, _control: transformers.TrainerControl, **_: Any
    ) -> None:
        """Start the clock; note the step from which this attempt resumes."""
        self._began_s = time.monotonic()
        self.startup_s = time.time() - self._job.started_at_s
        if self.resumed_from_step is not None:
            logged = [line["num_tokens"] for line in state.log_history if "num_tokens" in line]
            self._trainer.num_tokens = int(logged[-1]) if logged else 0
            self._job.watchdog.resume([line["loss"] for line in state.log_history if "loss" in line])
        if self.resumed_from_step is not None or self._layout.metrics.is_file():
            self._append({"step": self.resumed_from_step or 0, RESTART: 1})

    def on_step_begin(
        self, _args: Any, _state: transformers.TrainerState, _control: transformers.TrainerControl, **_: Any
    ) -> None:
        """Start the step's clock."""
        self._step_began_s = time.monotonic()
        self._step_tokens_before = self._trainer.num_tokens

    def on_step_end(
        self, _args: Any, state: transformers.TrainerState, _control: transformers.TrainerControl, **_: Any
    ) -> None:
        """Stop the step's clock; publish progress."""
        now = time.monotonic()
        self.step_s += now - self._step_began_s
        self.step_tokens += self._trainer.num_tokens - self._step_tokens_before
        self.train_s = now - self._began_s
        if self._rank == 0:
            done = state.global_step - (self.resumed_from_step or 0)
            eta_s = self.train_s / max(done, 1) * (self._job.num_steps - state.global_step)
            share = state.global_step / self._job.num_steps
            message = f"step {state.global_step} of {self._job.num_steps}"
            write_json_atomic(self._layout.progress, {"fraction": share, "message": message, "eta_s": eta_s})

    def on_log(
        self,
        _args: Any,
        state: transformers.TrainerState,
        control: transformers.TrainerControl,
        logs: dict[str, float] | None = None,
        **_: Any,
    ) -> None:
        """Write the curve's next point; stop training when the watchdog reports a fault."""
        wanted = (*_CURVES, *self._trainer.curves)
        point = {name.replace("/", "_"): float(logs[name]) for name in wanted if logs and name in logs}
        if not point:
            return
        self._append({"step": state.global_step, **point})
        if "loss" in point and self.fault is None:
            self.fault = self._job.watchdog.observe(state.global_step, point["loss"], point.get("grad_norm"))
        if self.fault is not None:
            control.should_training_stop = True
            control.should_save = False
            control.should_evaluate = False

    def _append(self, values: dict[str, float]) -> None:
        if self._rank == 0:
            elapsed_s = round(time.time() - self._job.started_at_s, 3)
            append_json_line(self._layout.metrics, {"step": values.pop("step"), "time_s": elapsed_s, **values})


class StopSwitch(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Ends training after a checkpoint when the stage is asked to stop.

    Rank 0 writes the number of the step after the next one. Gradients are exchanged in every step, so no rank can be
    more than one step ahead when the number is written: all ranks stop after the same step without waiting.
    """

    def __init__(self, job: TrainingJob, rank: int) -> None:
        self._job = job
        self._rank = rank
        self._stop_after: int | None = None
        self.stopped = False

    def on_step_end(
        self, _args: Any, state: transformers.TrainerState, control: transformers.TrainerControl, **_: Any
    ) -> None:
        """Look for a request; at the agreed step, save and stop."""
        if self._stop_after is None:
            self._stop_after = self._find_stop_step(state.global_step)
        if self._stop_after is not None and state.global_step >= self._stop_after:
            self.stopped = True
            control.should_save = True
            control.should_training_stop = True

    def _find_stop_step(self, step: int) -> int | None:
        file = self._job.stop_step_file
        if self._rank == 0 and self._job.stop_file.exists() and not file.exists():
            ahead = 0 if self._job.config.num_workers == 1 else 2
            write_text_atomic(file, str(step + ahead))
        return int(file.read_text(encoding="utf-8")) if file.exists() else None


class SampleWriter(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Answers the first validation prompts greedily at each checkpoint; none where the model is sharded."""

    def __init__(self, job: TrainingJob, trainer: CountingTrainer, rank: int) -> None:
        self._job = job
        self._trainer = trainer
        is_asked = rank == 0 and not is_sharded(job.config)
        rows = read_rows(job.work_dir / "validation.npz") if is_asked else []
        self._rows: list[TokenRow] = rows[: job.config.num_sample_prompts]
        self._context = job.open_context()

    def on_save(
        self, _args: Any, state: transformers.TrainerState, _control: transformers.TrainerControl, **_: Any
    ) -> None:
        """Write one sample per prompt."""
        for row in self._rows:
            self._context.add_sample(CheckpointSample(step=state.global_step, id=row.id, **self._answer(row)))

    def _answer(self, row: TokenRow) -> dict[str, str]:
        tokenizer = self._trainer.processing_class
        model = self._trainer.accelerator.unwrap_model(self._trainer.model)
        prompt, expected = row.input_ids[: row.prompt_length], row.input_ids[row.prompt_length :]
        prompt_1T = torch.tensor([prompt], device=model.device)
        # Behind the last position some models fail, and the others say nothing sensible.
        room = getattr(model.config, "max_position_embeddings", self._job.config.max_length) - len(prompt)
        was_training = model.training
        model.eval()
        with torch.no_grad():
            answer_1T = model.generate(
                input_ids=prompt_1T,
                attention_mask=torch.ones_like(prompt_1T),
                max_new_tokens=max(min(self._job.config.sample_max_new_tokens, room), 1),
                do_sample=False,
            )
        model.train(was_training)
        return {
            "prompt": tokenizer.decode(prompt, skip_special_tokens=True),
            "expected": tokenizer.decode(expected, skip_special_tokens=True).strip(),
            "output": tokenizer.decode(answer_1T[0, len(prompt) :], skip_special_tokens=True).strip(),
        }


class CheckpointReporter(transformers.TrainerCallback):  # type: ignore[misc]  # transformers is untyped here
    """Reports each checkpoint: rank 0 its folder, the others none. Every rank reports equally often."""

    def __init__(self, link: TrainerLink, trainer: CountingTrainer) -> None:
        self._link = link
        self._trainer = trainer

    def on_save(
        self, args: Any, state: transformers.TrainerState, _control: transformers.TrainerControl, **_: Any
    ) -> None:
        """Report the checkpoint that the trainer has just written to its scratch folder."""
        folder = Path(args.output_dir) / f"checkpoint-{state.global_step}"
        metrics = {"step": float(state.global_step)}
        losses = [
            line["eval_loss"]
            for line in state.log_history
            if line.get("step") == state.global_step and "eval_loss" in line
        ]
        if losses:
            metrics["eval_loss"] = float(losses[-1])
        name = f"step-{state.global_step:06d}"
        self._link.report(folder if self._link.rank == 0 else None, metrics, name)
