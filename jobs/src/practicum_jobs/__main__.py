"""Runs one stage: reads its typed configuration, calls it, writes its typed record or its error."""

from __future__ import annotations

import argparse
import errno
import importlib
import json
import os
import signal
import sys
import tempfile
import traceback
from pathlib import Path
from typing import Any

import yaml
from pydantic import ValidationError

from practicum_core.atomic import FULL_DISK, write_json_atomic
from practicum_core.errors import (
    EXIT_INTERNAL,
    EXIT_OK,
    ConfigError,
    PlatformError,
    PracticumError,
    Reason,
)
from practicum_core.problems import list_problems
from practicum_core.stage_process import (
    ENDPOINTS_VARIABLE,
    EXPERIMENTS_VARIABLE,
    PARENT_VARIABLE,
    resolve_endpoints,
)
from practicum_core.stages import StageConfig, StageSpec, get_stage
from practicum_jobs.context import StageContext
from practicum_runtime.parent_death import follow_parent

_NO_PATH = frozenset({errno.ENAMETOOLONG, errno.ELOOP})
"""What the system says of a text that can be no path; a missing file is the stage's to name."""


def main(argv: list[str] | None = None) -> int:
    """Run the stage that the command line names and return its exit code."""
    options = _build_parser().parse_args(argv)
    folder = os.environ.get(EXPERIMENTS_VARIABLE)
    context = StageContext(
        options.run_dir.resolve(),
        options.stage,
        options.step or options.stage,
        experiments=Path(folder) if folder else None,
    )
    for number in (signal.SIGTERM, signal.SIGINT):
        signal.signal(number, lambda *_: context.request_stop())
    if parent := os.environ.get(PARENT_VARIABLE):
        follow_parent(int(parent))
    try:
        spec = get_stage(options.stage)
        _clear_previous(context)
        config = read_config(spec, options.config)
        record = _load_stage(spec)(config, context)
        write_json_atomic(context.layout.record, spec.record.model_validate(record).model_dump(mode="json"))
    except PracticumError as error:
        return _report(context, error)
    except MemoryError as error:
        return _report(context, _explain_memory(error))
    except OSError as error:
        return _report_os_error(context, error)
    except Exception:  # noqa: BLE001 - the edge: every fault becomes one message and a full trace in the log
        return _report_fault(context)
    return EXIT_OK


def read_config(spec: StageSpec, path: Path) -> StageConfig:
    """Read and validate a stage configuration from YAML or JSON.

    Raises:
        ConfigError: The file cannot be read, or is not a valid configuration; all problems in one message.
    """
    try:
        document: Any = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError) as error:
        raise ConfigError(f"{path}: {error}", "give a YAML file with the stage's options") from error
    if not isinstance(document, dict):
        raise ConfigError(f"{path}: expected a mapping of options, got {type(document).__name__}")
    endpoints = json.loads(os.environ.get(ENDPOINTS_VARIABLE, "{}"))
    try:
        return spec.config.model_validate(resolve_endpoints(document, endpoints))
    except ValidationError as error:
        problems = list_problems(error, spec.config, noun="option")
        raise ConfigError(f"{path}: {'; '.join(problems)}", "correct the named options") from error


def _build_parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="practicum_jobs", description="Run one stage of a week.")
    parser.add_argument("stage")
    parser.add_argument("--config", type=Path, required=True, help="stage options (YAML)")
    parser.add_argument("--run-dir", type=Path, required=True, help="run directory")
    parser.add_argument("--step", default=None, help="name of the step; the stage's name without it")
    return parser


def _load_stage(spec: StageSpec) -> Any:  # noqa: ANN401 - each stage has its own config and record types
    return importlib.import_module(spec.program).run


def _clear_previous(context: StageContext) -> None:
    context.layout.root.mkdir(parents=True, exist_ok=True)
    for path in (context.layout.record, context.layout.error):
        path.unlink(missing_ok=True)


def _explain_memory(error: MemoryError) -> PlatformError:
    return PlatformError(Reason.OUT_OF_MEMORY, f"out of memory: {error}", "use a smaller batch_size or max_length")


def _explain_full_disk(context: StageContext, error: OSError) -> PlatformError:
    folder = tempfile.gettempdir()
    what = f"{error.filename}: " if error.filename else ""
    return PlatformError(
        Reason.DISK_FULL,
        f"{what}no space left on the disk; the run lies in {context.run.root}, temporary files in TMPDIR ({folder})",
        "free some space there, or set TMPDIR to a folder with free space, then resume",
    )


def _report_os_error(context: StageContext, error: OSError) -> int:
    if error.errno in FULL_DISK:
        return _report(context, _explain_full_disk(context, error))
    if error.errno in _NO_PATH:
        shown = f"{str(error.filename)[:80]}: {error.strerror}"
        return _report(context, ConfigError(shown, "name an existing file or folder in the step's options"))
    return _report_fault(context)


def _report_fault(context: StageContext) -> int:
    traceback.print_exc()
    _write_error(context, Reason.INTERNAL, "a fault of the stage itself; the trace is in its log", "report it")
    return EXIT_INTERNAL


def _report(context: StageContext, error: PracticumError) -> int:
    print(f"{error.reason}: {error}", file=sys.stderr, flush=True)
    _write_error(context, error.reason, error.detail, error.fix)
    return error.exit_code


def _write_error(context: StageContext, reason: Reason, detail: str, fix: str) -> None:
    try:
        write_json_atomic(context.layout.error, {"reason": reason, "detail": detail, "fix": fix})
    except PracticumError as fault:
        print(f"{fault.reason}: {fault}", file=sys.stderr, flush=True)


if __name__ == "__main__":
    sys.exit(main())
