"""Run directories as the stages write them, made with the core's own models."""

from __future__ import annotations

import json
import math
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
import yaml

from practicum_core.atomic import append_json_line, write_json_atomic, write_text_atomic
from practicum_core.environment import CodeVersion, Hardware, Repository, RunEnvironment
from practicum_core.factors import Comparison
from practicum_core.layout import RunLayout
from practicum_core.metrics import Metric
from practicum_core.stages import STAGES
from practicum_core.stages.audit import AuditRecord
from practicum_core.stages.base import Artifact, Failure, StageRecord
from practicum_core.stages.evaluate import EvaluateRecord
from practicum_core.stages.findings import ClassScore, DataFile, Finding
from practicum_core.stages.inference import InferenceRecord
from practicum_core.stages.leaks import Leak
from practicum_core.stages.model import ModelFile, ModelLock, ModelRecord
from practicum_core.stages.report import ReportConfig, ReportRecord
from practicum_core.stages.sft import SftRecord
from practicum_core.stages.snapshot import DataLock, SnapshotRecord, SplitLock
from practicum_core.stages.training import CheckpointInfo
from practicum_core.weekjob import WeekJob
from practicum_jobs import report
from practicum_jobs.context import StageContext

RUN_ID = "20260102t030405-0a1b2c"
DATA_LOCK = DataLock(
    uri="builtin:tickets?seed=7",
    generator_version="1",
    splits={
        "train": SplitLock(sha256="1" * 64, num_rows=1600, size_bytes=812_345),
        "validation": SplitLock(sha256="2" * 64, num_rows=120, size_bytes=60_123),
        "test": SplitLock(sha256="3" * 64, num_rows=200, size_bytes=99_000),
        "control": SplitLock(sha256="4" * 64, num_rows=80, size_bytes=31_000),
    },
)
MODEL_LOCK = ModelLock(
    uri="builtin:smollm2-135m",
    revision="5" * 64,
    family="llama",
    num_parameters=134_515_008,
    tokenizer_sha256="6" * 64,
    chat_template_sha256="7" * 64,
    sha256="8" * 64,
    files=[ModelFile(path="model.safetensors", sha256="9" * 64, size_bytes=269_060_552)],
)


class RunBuilder:
    """Writes one run directory; each ``write_*`` leaves what the stage of that name leaves."""

    def __init__(self, root: Path, run_id: str = RUN_ID, hour: int = 3) -> None:
        self.layout = RunLayout(root / run_id)
        self.layout.root.mkdir(parents=True)
        self._hour = hour
        self._seconds = 0.0

    def write_surroundings(self, unit: str, *, is_dirty: bool = False, **spec: Any) -> None:
        weekjob = WeekJob.model_validate(
            {"metadata": {"name": unit}, "spec": {"unit": unit, "profile": "quick", **spec}}
        )
        write_text_atomic(self.layout.weekjob, yaml.safe_dump(weekjob.to_document()))
        repository = Repository(commit="c" * 40, is_dirty=is_dirty, diff_sha256="d" * 64 if is_dirty else None)
        environment = RunEnvironment(
            created_at=f"2026-01-02T{self._hour:02d}:04:05.000+00:00",
            command=["practicum", "run", unit, "--profile", "quick"],
            code=CodeVersion(version="0.1.0", source_sha256="e" * 64, repository=repository),
            locks={"base": "a" * 64, "train": "b" * 64},
            packages={"base": {"jinja2": "3.1.6"}, "train": {"torch": "2.13.0", "trl": "1.16.0"}},
            python="3.11.2",
            platform="Linux-6.1-x86_64",
            hardware=Hardware(cpu="x86-64", physical_cores=2, logical_cores=2, memory_bytes=24 << 30),
            num_threads=2,
        )
        write_json_atomic(self.layout.environment, environment.model_dump(mode="json"))

    def write_record(self, kind: type[StageRecord], stage: str, duration_s: float, /, **fields: Any) -> None:
        start, self._seconds = self._seconds, self._seconds + duration_s
        record = kind(
            stage=stage,
            step=stage,
            started_at=self._stamp(start),
            finished_at=self._stamp(self._seconds),
            duration_s=duration_s,
            **fields,
        )
        layout = self.layout.stage(stage)
        write_json_atomic(layout.record, record.model_dump(mode="json"))
        config = STAGES[stage].config()
        write_text_atomic(layout.config, yaml.safe_dump(config.model_dump(mode="json"), sort_keys=False))
        event = {"time": self._stamp(start), "event": "step_started", "step": stage, "attempt": 1}
        append_json_line(self.layout.events, event)

    def write_model(self) -> None:
        write_json_atomic(self.layout.model_lock, MODEL_LOCK.model_dump(mode="json"))
        shared = MODEL_LOCK.model_dump(exclude={"schema_version", "files"})
        self.write_record(
            ModelRecord,
            "model",
            2.21,
            metrics=[
                Metric(name="num_parameters", value=134_515_008),
                Metric(name="size_bytes", value=269_060_552, unit="bytes"),
                Metric(name="fetch_s", value=1.9, unit="s"),
            ],
            **shared,
        )

    def write_snapshot(self, leaks: tuple[Leak, ...] = (), num_unwaived: int = 0) -> None:
        write_json_atomic(self.layout.data_lock, DATA_LOCK.model_dump(mode="json"))
        metric = Metric(name="unwaived_leaks", value=num_unwaived, unit="rows")
        self.write_record(SnapshotRecord, "snapshot", 1.34, lock=DATA_LOCK, leaks=list(leaks), metrics=[metric])

    def write_sft(self, num_steps: int = 60, restart_at: int | None = 40) -> None:
        layout = self.layout.stage("sft")
        for step in [*range(1, num_steps - 10), *self._count_after_restart(restart_at, num_steps)]:
            if restart_at is not None and step == restart_at + 1 and step in self._seen(layout.metrics):
                append_json_line(layout.metrics, {"step": restart_at, "time_s": 90.0, "restart": 1})
            append_json_line(layout.metrics, self._build_point(step))
        answers = {20: '{"category":"refund"}', 40: '{"category":"refund","order":"A-1043"}', 60: EXPECTED}
        for step, answer in answers.items():
            sample = {"step": step, "id": "val-1", "prompt": PROMPT, "expected": EXPECTED, "output": answer}
            append_json_line(layout.samples, sample)
        self.write_record(
            SftRecord,
            "sft",
            182.4,
            method="lora",
            num_steps=num_steps,
            num_train_rows=480,
            num_trainable_parameters=4_884_480,
            num_parameters=139_399_488,
            num_tokens=71_230,
            num_restarts=1 if restart_at else 0,
            checkpoints=[
                CheckpointInfo(step=at, validation_loss=1.9 / at + 0.12, path=f"stages/sft/checkpoints/step-{at:06d}")
                for at in (20, 40, 60)
            ],
            best_step=60,
            metrics=[
                Metric(name="validation_loss_drop", value=1.7362),
                Metric(name="tokens_per_s", value=391.23, unit="tokens/s"),
            ],
            failures=[
                Failure(
                    kind="worker_lost", where="step 49", text="worker 1 was killed by signal 9; went on from step 40"
                )
            ],
            artifacts=[
                Artifact(
                    path="stages/sft/artifacts/adapter", sha256="f" * 64, size_bytes=19_600_000, note="LoRA adapter"
                )
            ],
            notes=["3 of 480 rows were cut to 512 tokens"],
        )

    def write_inference(self) -> None:
        layout = self.layout.stage("inference")
        for number in range(2):
            append_json_line(
                layout.samples,
                {
                    "id": f"val-{number}",
                    "prompt": PROMPT,
                    "expected": EXPECTED,
                    "adapter": EXPECTED,
                    "merged": EXPECTED,
                },
            )
        metric = Metric(name="agreement", value=1.0)
        self.write_record(
            InferenceRecord, "inference", 21.0, num_prompts=8, predictions_sha256="0" * 64, metrics=[metric]
        )

    def write_evaluate(self, *, low: float = 0.58, is_paired: bool = True, prompt: str = "") -> None:
        layout = self.layout.stage("evaluate")
        outcomes = [(False, True)] * 5 + [(True, False)] + [(False, False)] * 3 + [(True, True)] * 2
        for number, (base, candidate) in enumerate(outcomes):
            sample: dict[str, Any] = {"id": f"test-{number}", "prompt": prompt or PROMPT, "expected": EXPECTED}
            sample |= {"base": EXPECTED if base else "I am happy to help!", "base_correct": base}
            if is_paired:
                answer = EXPECTED if candidate else '{"category":"refund"}'
                sample |= {"candidate": answer, "candidate_correct": candidate}
            append_json_line(layout.samples, sample)
        metrics = [
            Metric(name="num_rows", value=60, unit="rows"),
            Metric(name="exact_match_base", value=0.0167, low=0.003, high=0.0886, unit="ratio"),
            Metric(name="exact_match_interval_width", value=0.0856, unit="ratio"),
        ]
        if is_paired:
            metrics += [
                Metric(name="exact_match_tuned", value=0.7333, low=0.6099, high=0.8287, unit="ratio"),
                Metric(name="exact_match_delta", value=0.7167, low=low, high=0.8167, unit="ratio"),
            ]
        self.write_record(
            EvaluateRecord,
            "evaluate",
            61.5,
            num_rows=60,
            model="builtin:smollm2-135m",
            candidate="run:stages/sft/artifacts/merged" if is_paired else None,
            data_sha256="3" * 64,
            predictions_sha256="0" * 64,
            metrics=metrics,
        )

    def write_audit(self) -> None:
        names = (
            "exact_duplicate",
            "near_duplicate",
            "leaked_row",
            "conflicting_answers",
            "pii:cn_mobile",
            "secret:aws_key",
        )
        findings = [
            Finding(
                name=name,
                num_rows=12 + 7 * at,
                share_ratio=(12 + 7 * at) / 2000,
                level="fail" if at % 3 else "warn",
                threshold_ratio=0.01 if at % 2 else None,
                samples=[f"row {at}: 138****{at:04d}"],
            )
            for at, name in enumerate(names)
        ]
        findings.append(Finding(name="mojibake", num_rows=0, share_ratio=0, level="pass", threshold_ratio=0.0))
        metrics = [
            Metric(name="num_rows", value=2000, unit="rows"),
            Metric(name="min_recall", value=0.98),
            Metric(name="min_precision", value=0.961),
            Metric(name="clean_copy_failures", value=0),
        ]
        for name in names:
            metrics += [
                Metric(name=f"recall:{name}", value=0.98, unit="ratio", low=0.9, high=0.995),
                Metric(name=f"precision:{name}", value=1.0, unit="ratio", low=0.93, high=1.0),
            ]
        self.write_record(
            AuditRecord,
            "audit",
            4.2,
            verdict="fail",
            num_rows=2000,
            num_clean_rows=1760,
            findings=findings,
            metrics=metrics,
            uri="builtin:tickets-flawed",
            files=[DataFile(name="train.jsonl", split="train", sha256="a" * 64, size_bytes=812_345)],
            lengths={"min": 61, "p50": 118, "p90": 171, "p99": 410, "max": 3121},
            scripts={"latin": 1010, "han": 990},
            scores=[ClassScore(name=name, num_planted=50, num_flagged=49, num_right=49) for name in names],
        )

    def write_control(self) -> None:
        comparison = Comparison(
            control=f"sft/{RUN_ID}", factor="sft.learning_rate", control_value="0.001", value="0.0005"
        )
        write_json_atomic(self.layout.control, comparison.model_dump(mode="json"))

    def build_pack(self, **options: Any) -> ReportRecord:
        context = StageContext(self.layout.root, "report", "report", cache_dir=self.layout.root / "cache")
        return report.run(ReportConfig(**options), context)

    @property
    def html(self) -> str:
        return self.layout.evidence_html.read_text(encoding="utf-8")

    @property
    def evidence(self) -> dict[str, Any]:
        return json.loads(self.layout.evidence_json.read_text(encoding="utf-8"))

    def _stamp(self, seconds: float) -> str:
        return f"2026-01-02T{self._hour:02d}:{int(seconds) // 60 + 4:02d}:{int(seconds) % 60:02d}.000+00:00"

    @staticmethod
    def _count_after_restart(restart_at: int | None, num_steps: int) -> range:
        return range(num_steps - 10 if restart_at is None else restart_at + 1, num_steps + 1)

    @staticmethod
    def _seen(path: Path) -> set[int]:
        return {json.loads(line)["step"] for line in path.read_text(encoding="utf-8").splitlines()}

    @staticmethod
    def _build_point(step: int) -> dict[str, float]:
        loss = 1.9 * math.exp(-step / 14) + 0.12 + 0.05 * math.sin(step * 1.7)
        point = {
            "step": step,
            "time_s": step * 2.5,
            "loss": loss,
            "learning_rate": 1e-3 * min(step / 3, 0.5 + 0.5 * math.cos(math.pi * step / 60)),
            "grad_norm": 0.4 + 0.3 * abs(math.sin(step * 0.9)) + (2.5 if step == 17 else 0),
        }
        if step % 20 == 0:
            point["eval_loss"] = 1.9 * math.exp(-step / 15) + 0.13
        return point


PROMPT = "Read the ticket and answer as JSON.\nOrder A-1043: I was charged 39.90 twice, 请尽快退款!"
EXPECTED = '{"category":"refund","order":"A-1043","amount":39.9,"urgent":true}'


@pytest.fixture
def make_run(tmp_path: Path) -> Callable[..., RunBuilder]:
    """Give a factory of empty run directories."""

    def make(folder: str = "one", **options: Any) -> RunBuilder:
        return RunBuilder(tmp_path / folder, **options)

    return make


@pytest.fixture
def make_sft_run(make_run: Callable[..., RunBuilder]) -> Callable[..., RunBuilder]:
    """Give a factory of finished runs of the unit ``sft``."""

    def make(folder: str = "one", *, low: float = 0.58, prompt: str = "", **options: Any) -> RunBuilder:
        builder = make_run(folder, **options)
        builder.write_surroundings("sft")
        builder.write_model()
        builder.write_snapshot()
        builder.write_sft()
        builder.write_inference()
        builder.write_evaluate(low=low, prompt=prompt)
        return builder

    return make
