"""What surrounds training in a process: stopping in step, keeping checkpoints, beginning anew, naming faults."""

from __future__ import annotations

import errno
from pathlib import Path
from types import SimpleNamespace

import pytest

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.stages.sft import SftConfig
from practicum_jobs.adapters.checkpoint_store import CheckpointStore
from practicum_jobs.adapters.ray_session import open_session
from practicum_jobs.adapters.training_job import (
    IGNORED,
    TokenRow,
    TrainingJob,
    UntrainableError,
    WorkersFailedError,
    write_rows,
)
from practicum_jobs.training.attempts import prepare_attempt
from practicum_jobs.training.divergence import DivergenceWatchdog
from practicum_jobs.training.faults import explain_training_faults


def _make_job(folder: Path, **options) -> TrainingJob:
    model = folder / "model"
    model.mkdir(parents=True, exist_ok=True)
    (model / "model.safetensors").write_bytes(b"weights")
    config, watchdog = SftConfig(**options), DivergenceWatchdog(3.0)
    job = TrainingJob(folder / "run", "sft", "tune", model, config, 10, watchdog, 0.0, 1, "no trainer is built")
    for split in ("train", "validation"):
        write_rows(job.work_dir / f"{split}.npz", [TokenRow("a", [1, 2], [IGNORED, 2])])
    return job


def _put(store: CheckpointStore, folder: Path, step: int, loss: float | None) -> None:
    source = folder / f"scratch-{step}"
    source.mkdir()
    (source / "weights").write_text(str(step))
    metrics = {"step": float(step)} | ({} if loss is None else {"eval_loss": loss})
    store.add(source, f"step-{step:06d}", metrics)


def test_the_store_keeps_the_best_and_the_latest(tmp_path):
    store = CheckpointStore(tmp_path / "store", keep=2)
    for step, loss in ((10, 0.9), (20, 0.5), (30, 0.6), (40, 0.8), (43, None)):
        _put(store, tmp_path, step, loss)
    assert [(saved.step, saved.validation_loss) for saved in store.list()] == [(20, 0.5), (30, 0.6), (43, None)]
    assert (Path(store.list()[0].path) / "weights").read_text() == "20"
    _put(store, tmp_path, 50, 0.4)
    assert [saved.step for saved in store.list()] == [20, 50]


def test_the_store_does_not_see_what_was_never_finished(tmp_path):
    store = CheckpointStore(tmp_path, keep=2)
    (tmp_path / "step-000010").mkdir()
    (tmp_path / "step-000010" / "weights").write_text("half")
    assert store.list() == []


def test_the_same_inputs_go_on_and_other_inputs_begin_anew(tmp_path):
    job = _make_job(tmp_path)
    prepare_attempt(job)
    kept = job.open_context().layout.root / "checkpoints" / "step-000005" / "weights"
    kept.parent.mkdir()
    kept.write_text("5")
    job.open_context().layout.metrics.write_text("{}\n")
    job.stop_file.touch()
    prepare_attempt(job)
    assert kept.exists()
    assert job.open_context().layout.metrics.exists()
    assert not job.stop_file.exists()
    prepare_attempt(_make_job(tmp_path, learning_rate=0.5))
    assert not kept.exists()
    assert not job.open_context().layout.metrics.exists()


@pytest.mark.parametrize("num_workers", [1, 2])
def test_every_rank_stops_after_the_same_step(tmp_path, num_workers):
    from practicum_jobs.adapters.training_callbacks import StopSwitch  # noqa: PLC0415 - imports torch

    job = _make_job(tmp_path, num_workers=num_workers)
    ranks = [StopSwitch(job, rank) for rank in range(num_workers)]
    stopped_after: dict[int, int] = {}
    for step in range(1, 10):
        # Gradients are exchanged within a step, so ranks end it in any order, but none is a whole step ahead.
        for rank in reversed(range(num_workers)):
            if rank in stopped_after:
                continue
            if step == 4 and rank == 0:
                job.stop_file.touch()
            control = SimpleNamespace(should_save=False, should_training_stop=False)
            ranks[rank].on_step_end(None, SimpleNamespace(global_step=step), control)
            assert control.should_save == control.should_training_stop == ranks[rank].stopped
            if ranks[rank].stopped:
                stopped_after[rank] = step
    assert set(stopped_after.values()) == {4 if num_workers == 1 else 6}
    assert len(stopped_after) == num_workers


@pytest.mark.parametrize(
    ("fault", "reason"),
    [
        (RuntimeError("DefaultCPUAllocator: can't allocate memory: you tried to allocate 1 TB"), Reason.OUT_OF_MEMORY),
        (RuntimeError("CUDA out of memory. Tried to allocate"), Reason.OUT_OF_MEMORY),
        (RuntimeError("PytorchStreamWriter failed writing file data/0"), Reason.DISK_FULL),
        (OSError(errno.ENOSPC, "No space left on device"), Reason.DISK_FULL),
        (OSError(errno.EACCES, "Permission denied"), Reason.PERMISSION_DENIED),
    ],
)
def test_faults_of_memory_and_disk_are_named(fault, reason, tmp_path):
    with pytest.raises(PlatformError) as caught, explain_training_faults(_make_job(tmp_path)):
        raise fault
    assert caught.value.reason is reason
    assert caught.value.exit_code == 4


@pytest.mark.parametrize(
    ("causes", "reason", "words"),
    [
        ({0: "in a worker:\nRuntimeError: CUDA out of memory"}, Reason.OUT_OF_MEMORY, "(RuntimeError: CUDA out"),
        ({1: "it crashed", 0: "ValueError: shapes"}, Reason.WORKER_LOST, "worker 0: ValueError: shapes; worker 1: it"),
        ({}, Reason.WORKER_LOST, "after 2 replacements: training ended without a result"),
    ],
)
def test_failed_workers_are_explained_with_the_options_of_the_step(causes, reason, words, tmp_path):
    with pytest.raises(PlatformError) as caught, explain_training_faults(_make_job(tmp_path)):
        raise WorkersFailedError(causes, "training ended without a result")
    assert caught.value.reason is reason
    assert words in caught.value.detail
    assert "tune.batch_size" in caught.value.fix


UNTRAINABLE = UntrainableError(ValueError("BloomForCausalLM does not support it\nPlease request the support"))


@pytest.mark.parametrize(
    "fault",
    [
        UNTRAINABLE,
        WorkersFailedError({1: f"a trace\nray.exceptions.X: {type(UNTRAINABLE).__name__}: {UNTRAINABLE}"}, "failed"),
    ],
)
def test_what_the_libraries_refuse_is_the_options_fault_in_any_worker(fault, tmp_path):
    with pytest.raises(ConfigError) as caught, explain_training_faults(_make_job(tmp_path)):
        raise fault
    assert caught.value.reason is Reason.PREFLIGHT_FAILED
    assert "method=lora among them (ValueError: BloomForCausalLM does not support it)" in caught.value.detail
    assert "options of tune" in caught.value.fix


def test_memory_that_ran_out_while_the_model_was_loaded_is_named_as_such(tmp_path):
    with pytest.raises(PlatformError) as caught, explain_training_faults(_make_job(tmp_path)):
        raise UntrainableError(RuntimeError("CUDA out of memory. Tried to allocate 2 GiB"))
    assert caught.value.reason is Reason.OUT_OF_MEMORY


def test_other_faults_pass(tmp_path):
    with pytest.raises(RuntimeError, match="shapes"), explain_training_faults(_make_job(tmp_path)):
        raise RuntimeError("shapes do not match")


def test_a_session_of_ray_has_room_for_its_sockets_or_says_which_setting_is_wrong(tmp_path, monkeypatch):
    monkeypatch.setattr("tempfile.tempdir", str(tmp_path))
    with pytest.raises(PlatformError, match=r"TMPDIR: the path .* sockets need one of 24 at most"), open_session(2, 1):
        pass
