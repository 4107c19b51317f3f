"""``practicum audit``: the data audit alone, on any supported file."""

from __future__ import annotations

from pathlib import Path

import click

from practicum_cli.commands.options import experiments_option
from practicum_cli.conclusion import describe_end, describe_fault, get_exit_code_of
from practicum_cli.console import build_listener
from practicum_cli.request import RunRequest, build_weekjobs
from practicum_cli.session import Outcome, describe_outcome, execute_run, start_run
from practicum_cli.streams import tell, tell_json
from practicum_cli.tables import format_table
from practicum_core.data_formats import COMMON_COLUMNS, COMPRESSIONS, FILE_KINDS, FORMATS
from practicum_core.errors import EXIT_GATE, EXIT_OK
from practicum_core.layout import RunLayout
from practicum_core.phases import Phase
from practicum_core.stages.audit import AuditRecord
from practicum_core.step_files import read_record
from practicum_runtime.stop_request import StopRequest

_DEFAULT_MODEL = "builtin:smollm2-135m"
_NO_MODEL = "none"


def _describe_formats() -> str:
    """Return what can be read, for the help: formats with their columns, and kinds of files."""
    formats = [f"{name}: {columns}." for name, columns in FORMATS.items()]
    kinds = [f"{names}: {content}." for names, content in FILE_KINDS.items()]
    parts = [
        "Formats, told row by row by the columns that have a value:",
        *formats,
        f"Every format may carry {COMMON_COLUMNS}. A column that is not read is a finding.",
        f"Files, text ones also compressed ({', '.join(COMPRESSIONS)}):",
        *kinds,
        "In a folder, the names of files or folders say the split: train, validation, test or control.",
    ]
    return "\n\n".join(parts)


@click.command(epilog=_describe_formats())
@click.argument("files", nargs=-1, required=True, metavar="FILE...")
@click.option(
    "--format",
    "style",
    type=click.Choice(["auto", *FORMATS]),
    default="auto",
    show_default=True,
    help="Read every row in this format.",
)
@click.option(
    "--encoding",
    default="utf-8",
    show_default=True,
    help="Of text files, such as gbk, gb18030, big5 or utf-16; the clean copy is UTF-8.",
)
@click.option(
    "--model",
    default=_DEFAULT_MODEL,
    show_default=True,
    metavar="URI",
    help="Model whose tokenizer and chat template measure lengths; `none` measures none and needs no model.",
)
@click.option("--set", "overrides", multiple=True, metavar="audit.KEY=VALUE", help="An option of the audit.")
@experiments_option
@click.option("--json", "as_json", is_flag=True, help="Print the result as JSON.")
def audit(
    *,
    files: tuple[str, ...],
    style: str,
    encoding: str,
    model: str,
    overrides: tuple[str, ...],
    experiments: Path,
    as_json: bool,
) -> int:
    """Audit each FILE: a file of rows, a folder of splits, or a URI.

    Exit 0 where the verdict is pass or warn, 1 where it is fail, 3 where the data cannot be read.
    """
    unit = "audit" if model == _NO_MODEL else "audit-tokens"
    extra = {"audit.format": style, "audit.encoding": encoding, **({"audit.model": None} if model == _NO_MODEL else {})}
    chosen = None if model == _NO_MODEL else model
    requests = [RunRequest(overrides=overrides, data=file, model=chosen, extra_set=extra) for file in files]
    weekjobs = [build_weekjobs((unit,), request)[0] for request in requests]
    stop = StopRequest()
    outcomes = []
    for weekjob in weekjobs:
        path = start_run(experiments, weekjob)
        outcomes.append(execute_run(path, weekjob, build_listener(), stop))
        if stop.is_requested:
            break
    if as_json:
        tell_json([describe_outcome(outcome) for outcome in outcomes])
    else:
        tell("\n\n".join(_describe(outcome) for outcome in outcomes))
    for fault in filter(None, map(describe_fault, outcomes)):
        tell(fault, err=True)
    return max(_get_exit_code(outcome) for outcome in outcomes)


def _read_audit(outcome: Outcome) -> AuditRecord | None:
    if outcome.status.phase is not Phase.SUCCEEDED:
        return None
    record = read_record(RunLayout(outcome.path), "audit")
    return record if isinstance(record, AuditRecord) else None


def _get_exit_code(outcome: Outcome) -> int:
    record = _read_audit(outcome)
    if record is None:
        return get_exit_code_of(outcome.status)
    return EXIT_GATE if record.verdict == "fail" else EXIT_OK


def _describe(outcome: Outcome) -> str:
    record = _read_audit(outcome)
    if record is None:
        return describe_end([outcome])
    data = outcome.weekjob.spec.data
    lines = [f"{data.uri if data else ''}: {record.verdict} ({record.num_rows} rows, {record.num_clean_rows} clean)"]
    found = [finding for finding in record.findings if finding.num_rows or finding.level != "pass"]
    if found:
        rows = [
            [item.name, item.level, str(item.num_rows), f"{item.share_ratio:.2%}", _show(item.threshold_ratio)]
            for item in found
        ]
        lines.append(format_table(["FINDING", "LEVEL", "ROWS", "SHARE", "FAILS ABOVE"], rows))
    lines += [f"{artifact.note or 'artifact'}: {outcome.path / artifact.path}" for artifact in record.artifacts]
    return "\n".join(lines)


def _show(ratio: float | None) -> str:
    return "" if ratio is None else f"{ratio:.2%}"
