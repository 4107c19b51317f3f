"""The entry point of the command: its subcommands, imported on use, and the text and exit code of every fault."""

from __future__ import annotations

import difflib
import importlib
import sys
from pathlib import Path
from typing import Any, ClassVar

import click

from practicum_cli.streams import prepare_streams, silence, tell

EXIT_USAGE = 2
EXIT_ENVIRONMENT = 4
EXIT_INTERNAL = 70
_CLUSTER_OPTIONS = frozenset({"-n", "--namespace", "--context", "--cluster"})


class LazyGroup(click.Group):
    """A group whose subcommands are imported when they are called; ``--help`` imports none of them."""

    COMMANDS: ClassVar[dict[str, tuple[str, str]]] = {
        "run": ("run", "Run a week on this machine."),
        "submit": ("submit", "Submit a week to a cluster, and follow it."),
        "weeks": ("weeks", "What each week runs and must deliver."),
        "status": ("inspect", "Where runs stand."),
        "logs": ("inspect", "What the steps of a run printed."),
        "evidence": ("inspect", "Open a run's evidence pack, or say where it lies."),
        "summarize": ("summarize", "Aggregate runs to one table."),
        "verify": ("verify", "Execute a run again from its record and compare."),
        "capstone": ("capstone", "Check the weeks as one chain, and write the documents of the defence."),
        "diff": ("compare", "The factors in which two runs differ."),
        "pointer": ("pointer", "Move, show or roll back a named pointer to a run."),
        "audit": ("audit", "Audit data files."),
        "compare": ("model_comparison", "Decide whether one model is better than another."),
        "blind": ("blind", "Let people compare two models blindly: make, import, reveal."),
        "dossier": ("dossier", "Take a failure to its cause, a fix and a regression test."),
        "serve": ("serve", "Serve a model behind the gateway on this machine."),
        "loadtest": ("loadtest", "Load a server with requests and measure what it bears."),
        "chaos": ("chaos", "Break a service on purpose, under load, and judge what its users got."),
        "replay": ("replay", "Send recorded traffic again and compare what came of it."),
        "describe": ("describe", "Describe a running service, from what runs and what was measured."),
        "key": ("key", "Make, list or revoke keys of the gateway."),
        "grade": ("grade", "The table of a class: points, lateness, and whose evidence is wrong."),
        "init": ("init", "Lay down the experiments template in a folder."),
        "doctor": ("doctor", "What this machine can run, and what is missing."),
    }

    def list_commands(self, ctx: click.Context) -> list[str]:
        """List the subcommands in the order in which a student meets them."""
        del ctx
        return list(self.COMMANDS)

    def get_command(self, ctx: click.Context, cmd_name: str) -> click.Command | None:
        """Import one subcommand."""
        del ctx
        if cmd_name not in self.COMMANDS:
            return None
        module = importlib.import_module(f"practicum_cli.commands.{self.COMMANDS[cmd_name][0]}")
        command = getattr(module, cmd_name)
        if not isinstance(command, click.Command):
            raise TypeError(f"{cmd_name} is not a command")
        return command

    def resolve_command(
        self, ctx: click.Context, args: list[str]
    ) -> tuple[str | None, click.Command | None, list[str]]:
        """Find the subcommand, and suggest one for a mistyped name."""
        name = args[0]
        if name not in self.COMMANDS and not name.startswith("-"):
            similar = difflib.get_close_matches(name, self.COMMANDS, n=1)
            hint = f"; did you mean '{similar[0]}'?" if similar else ""
            raise click.UsageError(f"unknown command '{name}'{hint}", ctx)
        return super().resolve_command(ctx, args)

    def format_commands(self, ctx: click.Context, formatter: click.HelpFormatter) -> None:
        """Write the table of subcommands without importing them."""
        del ctx
        with formatter.section("Commands"):
            formatter.write_dl([(name, text) for name, (_, text) in self.COMMANDS.items()])


class _VersionOption:
    """Prints the version, which takes longer to find than the rest of ``--help``."""

    @staticmethod
    def show(ctx: click.Context, parameter: click.Parameter, value: bool) -> None:  # noqa: FBT001 - click's signature
        del parameter
        if not value or ctx.resilient_parsing:
            return
        from importlib import metadata  # noqa: PLC0415 - only --version needs it

        click.echo(f"practicum {metadata.version('practicum')}")
        ctx.exit()


@click.group(cls=LazyGroup, context_settings={"help_option_names": ["-h", "--help"], "max_content_width": 110})
@click.option(
    "--version", is_flag=True, expose_value=False, is_eager=True, callback=_VersionOption.show, help="Show the version."
)
def practicum() -> None:
    """Run an LLM-engineering course: each week ends with evidence and a verdict.

    \b
    practicum weeks                    what each week runs
    practicum run week-01              run a week on this machine
    practicum evidence latest --open   look at what it proved
    """  # noqa: D301 - click's mark for a block that is not wrapped again


def main(arguments: list[str] | None = None) -> int:
    """Run the command and return its exit code. No fault leaves a traceback on the terminal."""
    prepare_streams()
    try:
        result = practicum.main(args=arguments, prog_name="practicum", standalone_mode=False)
    except click.ClickException as error:
        return _report_usage(error)
    except (click.Abort, KeyboardInterrupt):
        tell("stopped", err=True)
        return 130
    except SystemExit:  # click's answer to a reader that went away, and to nothing else outside of standalone mode
        silence("stdout")
        silence("stderr")
        return 0
    except Exception as error:  # noqa: BLE001 - the edge: every fault becomes one message
        return _report(error)
    return result if isinstance(result, int) else 0


def _report_usage(error: click.ClickException) -> int:
    text = error.format_message().strip()
    context = getattr(error, "ctx", None)
    path = context.command_path if context else "practicum"
    if isinstance(error, click.NoSuchOption) and error.option_name in _CLUSTER_OPTIONS:
        tell(
            f"error: ConfigInvalid: `{path}` is about runs of this machine and takes no {error.option_name}\n"
            "  fix: `practicum submit`, `status`, `logs` and `evidence` take -n NAMESPACE; a week on a cluster names"
            " the student's earlier runs there: latest:UNIT, run:RUN_ID or pointer:NAME",
            err=True,
        )
        return EXIT_USAGE
    tell(f"error: ConfigInvalid: {text}\n  fix: see `{path} --help`", err=True)
    return EXIT_USAGE


def _report(error: Exception) -> int:
    from practicum_core.errors import PracticumError  # noqa: PLC0415 - --help does not need it

    if isinstance(error, PracticumError):
        fix = f"\n  fix: {error.fix}" if error.fix else ""
        tell(f"error: {error.reason}: {error.detail}{fix}", err=True)
        return error.exit_code
    if isinstance(error, OSError):
        return _report_os_error(error)
    return _report_internal(error)


def _report_os_error(error: OSError) -> int:
    from practicum_core.atomic import explain_os_errors  # noqa: PLC0415 - --help does not need it
    from practicum_core.errors import PracticumError  # noqa: PLC0415 - as above

    if isinstance(error, FileNotFoundError) and error.filename is None:
        tell(
            "error: PermissionDenied: the folder that this command was started in is gone\n"
            "  fix: go to a folder that exists",
            err=True,
        )
        return EXIT_ENVIRONMENT
    try:
        with explain_os_errors(Path(error.filename or "the disk")):
            raise error
    except PracticumError as explained:
        return _report(explained)
    except OSError:
        return _report_internal(error)


def _report_internal(error: Exception) -> int:
    run: Any = getattr(error, "practicum_run", None)
    where = f" in run {run}" if run else ""
    try:
        kept = f"the trace is in {_keep_trace(error)}"
    except OSError as fault:
        kept = f"{type(error).__name__}: {error} (no trace was kept: {fault.strerror})"
    tell(
        f"error: Internal: a fault of Practicum itself{where}; {kept}\n"
        "  fix: report it with that; nothing already written is lost",
        err=True,
    )
    return EXIT_INTERNAL


def _keep_trace(error: Exception) -> str:
    import tempfile  # noqa: PLC0415 - faults only
    import traceback  # noqa: PLC0415 - faults only

    with tempfile.NamedTemporaryFile(
        "w", prefix="practicum-fault-", suffix=".txt", delete=False, encoding="utf-8", errors="backslashreplace"
    ) as handle:
        traceback.print_exception(error, file=handle)
    return handle.name


if __name__ == "__main__":
    sys.exit(main())
