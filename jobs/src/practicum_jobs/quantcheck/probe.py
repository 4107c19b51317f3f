"""The process that loads one artifact in its engine and measures it, so that memory and load time are its own."""

from __future__ import annotations

import statistics
import sys
import time
from collections.abc import Callable, Sequence
from pathlib import Path

import psutil

from practicum_core.atomic import write_json_atomic
from practicum_core.errors import PracticumError
from practicum_core.machine import read_free_gpu_memory
from practicum_core.stages.quantize import Fidelity
from practicum_jobs.adapters.engine import Engine, EngineSettings, TimedAnswer
from practicum_jobs.quantcheck.measurement import Fault, Measurement, Rate, Request
from practicum_jobs.scoring.fidelity import compare_text, summarize_distances

_CONTEXT_STEP = 64
_SINGLE_REQUESTS = 6
_REQUESTS_PER_SLOT = 2
_KIB = 1024


def main(arguments: Sequence[str]) -> int:
    """Measure what the file ``arguments[0]`` asks for, and write the result to ``arguments[1]``."""
    source, target = map(Path, arguments)
    request = Request.model_validate_json(source.read_bytes())
    try:
        measure(request, lambda result: write_json_atomic(target, result.model_dump(mode="json")))
    except PracticumError as error:
        write_json_atomic(target.with_suffix(".fault"), Fault(detail=error.detail).model_dump())
        return 1
    return 0


def measure(request: Request, write: Callable[[Measurement], None]) -> None:
    """Load the artifact, answer every prompt at each concurrency, and compare its logits with the original's."""
    settings = EngineSettings(
        path=Path(request.path),
        stop_ids=request.stop_ids,
        max_new_tokens=request.max_new_tokens,
        context_size=_choose_context(request),
        concurrency=max(request.concurrency),
        num_threads=request.num_threads,
    )
    build = _import_engine(request)
    baseline_bytes, free_vram = _read_resident(), read_free_gpu_memory(1)
    started_s = time.perf_counter()
    engine = build(settings)
    result = Measurement(
        kernel=engine.kernel,
        baseline_bytes=baseline_bytes,
        load_s=time.perf_counter() - started_s,
        resident_bytes=_read_resident(),
        peak_bytes=_read_peak(),
    )
    write(result)
    result = _measure_answers(engine, request, result)
    if free_vram is not None:
        result = result.model_copy(update={"vram_bytes": free_vram - (read_free_gpu_memory(1) or 0)})
    write(result)
    if engine.has_logits:
        fidelity = _measure_fidelity(engine, request)
        write(result.model_copy(update={"fidelity": fidelity, "reached": "fidelity"}))


def _import_engine(request: Request) -> Callable[[EngineSettings], Engine]:
    """Import the library of an engine, whose memory is not the model's."""
    if request.engine == "llama.cpp":
        from practicum_jobs.adapters.engine_llama import LlamaEngine  # noqa: PLC0415 - one engine per process

        return LlamaEngine
    if request.engine == "vllm":
        from practicum_jobs.adapters.engine_vllm import VllmEngine, import_vllm  # noqa: PLC0415 - as above

        import_vllm()
        return VllmEngine
    from practicum_jobs.adapters.engine_transformers import TransformersEngine  # noqa: PLC0415 - as above

    return TransformersEngine


def _choose_context(request: Request) -> int:
    longest = max(
        max(map(len, request.prompts)) + request.max_new_tokens,
        max((len(text.token_ids) for text in request.texts), default=0) + 1,
    )
    return (longest // _CONTEXT_STEP + 1) * _CONTEXT_STEP


def _measure_answers(engine: Engine, request: Request, result: Measurement) -> Measurement:
    """Measure each concurrency on the first prompts, and the highest on all of them, whose answers are kept."""
    engine.answer(request.prompts[:1], 1)
    rates: list[Rate] = []
    single: list[TimedAnswer] = []
    answers: list[TimedAnswer] = []
    for concurrency in sorted(request.concurrency):
        is_last = concurrency == max(request.concurrency)
        count = _SINGLE_REQUESTS if concurrency == 1 else _REQUESTS_PER_SLOT * concurrency
        prompts = request.prompts if is_last else request.prompts[:count]
        started_s = time.perf_counter()
        answers = engine.answer(prompts, concurrency)
        seconds = time.perf_counter() - started_s
        num_tokens = sum(len(one.token_ids) for one in answers)
        rates.append(
            Rate(concurrency=concurrency, num_requests=len(prompts), num_tokens=num_tokens, seconds=round(seconds, 3))
        )
        single = answers if concurrency == 1 else single
    times = [one.tpot_s for one in single if one.tpot_s is not None]
    return result.model_copy(
        update={
            "ttft_s": statistics.median(one.ttft_s for one in single) if single else None,
            "tpot_s": statistics.median(times) if times else None,
            "rates": rates,
            "answers": [list(one.token_ids) for one in answers],
            "prompt_token_ids": [_copy_ids(one.prompt_token_ids) for one in answers],
            "conversation_token_ids": [_copy_ids(one) for one in engine.read_conversations(request.conversations)],
            "peak_bytes": _read_peak(),
            "reached": "answered",
        }
    )


def _copy_ids(token_ids: Sequence[int] | None) -> list[int] | None:
    return None if token_ids is None else list(token_ids)


def _measure_fidelity(engine: Engine, request: Request) -> Fidelity:
    from practicum_jobs.adapters.reference_logits import read_reference  # noqa: PLC0415 - imports torch

    references = read_reference(Path(request.reference), [text.token_ids for text in request.texts])
    distances = {
        text.id: compare_text(reference, engine.compute_logits(text.token_ids), text.token_ids)
        for text, reference in zip(request.texts, references, strict=True)
    }
    summary = summarize_distances(distances, {text.id: text.language for text in request.texts})
    return Fidelity(engine=request.engine, **vars(summary))


def _read_resident() -> int:
    return int(psutil.Process().memory_info().rss)


def _read_peak() -> int:
    """Return the largest resident memory so far.

    Linux only: ``ru_maxrss`` of a process that was started by a larger one begins with that one's memory.
    """
    lines = Path("/proc/self/status").read_text(encoding="ascii").splitlines()
    return next(int(line.split()[1]) * _KIB for line in lines if line.startswith("VmHWM:"))


if __name__ == "__main__":
    sys.exit(main(sys.argv[1:]))
