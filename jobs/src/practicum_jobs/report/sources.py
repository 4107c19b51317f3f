"""The data card, the model card and the environment section. Hashes are shown in full, to be compared."""

from __future__ import annotations

from practicum_core.environment import Repository
from practicum_core.stages.leaks import Leak, LeaksRecord
from practicum_core.texts import Bilingual, Text
from practicum_jobs.render.blocks import (
    Block,
    Cell,
    Column,
    Command,
    Disclosure,
    Fact,
    Facts,
    Notice,
    Section,
    Table,
)
from practicum_jobs.render.figures import format_bytes, format_time
from practicum_jobs.report.messages import DATA, ENVIRONMENT, LEAK_KINDS, MODEL, READING, RUN_FILES, SECTIONS
from practicum_jobs.report.verdict import Pack

_SHORT_COMMIT = 12


def build_data_section(pack: Pack) -> Section | None:
    """Build the data card; ``None`` if no step of the unit freezes data."""
    if not pack.files.writes_lock("data"):
        return None
    lock = pack.files.data_lock
    if lock is None:
        return Section("data", SECTIONS["data"], [Notice(DATA["not_frozen"], "bad")])
    facts = [Fact(DATA["uri"], lock.uri, is_code=True)]
    if lock.generator_version:
        facts.append(Fact(DATA["generator"], lock.generator_version))
    columns = [
        Column(DATA["split"], "name"),
        Column(DATA["rows"], "number"),
        Column(DATA["size"], "number"),
        Column(DATA["sha256"], "code"),
    ]
    rows = [
        [name, f"{split.num_rows:,}", format_bytes(split.size_bytes), split.sha256]
        for name, split in lock.splits.items()
    ]
    blocks: list[Block] = [Facts(facts), Table(DATA["splits"], columns, rows), *_build_leaks(pack)]
    return Section("data", SECTIONS["data"], blocks, READING["data"])


def _build_leaks(pack: Pack) -> list[Block]:
    records = pack.files.list_records(LeaksRecord)
    if not records:
        return []
    leaks = [leak for record in records for leak in record.leaks]
    blocks: list[Block] = []
    if leaks:
        columns = [
            Column(DATA["leak"]),
            Column(DATA["leak_rows"], "number"),
            Column(DATA["share"], "number"),
            Column(DATA["verdict"]),
            Column(DATA["examples"], "code"),
        ]
        blocks.append(Table(DATA["leaks"], columns, [_build_leak_row(leak) for leak in leaks]))
    if not any(leak.num_rows for leak in leaks):
        blocks.append(Notice(DATA["no_leaks"], "good"))
    return blocks


def _build_leak_row(leak: Leak) -> list[Cell | Text]:
    kind, _, splits = leak.name.partition(":")
    title: Text = leak.name
    if kind in LEAK_KINDS:
        title = Bilingual(f"{LEAK_KINDS[kind].en}, {splits or '-'}", f"{LEAK_KINDS[kind].zh}，{splits or '-'}")
    if not leak.num_rows:
        verdict = Cell(DATA["clean"], tone="good")
    elif leak.waived:
        verdict = Cell(DATA["waived"], tone="warn")
    else:
        verdict = Cell(DATA["blocks"], tone="bad")
    examples = ", ".join(leak.examples[:5]) or "–"
    return [title, f"{leak.num_rows:,}", f"{100 * leak.share_ratio:.1f}%", verdict, examples]


def build_model_section(pack: Pack) -> Section | None:
    """Build the model card; ``None`` if the unit uses no model."""
    if not pack.files.writes_lock("model"):
        return None
    lock = pack.files.model_lock
    if lock is None:
        return Section("model", SECTIONS["model"], [Notice(MODEL["none"], "bad")])
    facts = [
        Fact(MODEL["uri"], lock.uri, is_code=True),
        Fact(MODEL["revision"], lock.revision or "–", is_code=True),
        Fact(MODEL["family"], lock.family or "–"),
        Fact(MODEL["num_parameters"], f"{lock.num_parameters:,}"),
        Fact(MODEL["sha256"], lock.sha256, is_code=True),
        Fact(MODEL["tokenizer"], lock.tokenizer_sha256, is_code=True),
        Fact(MODEL["template"], lock.chat_template_sha256, is_code=True),
    ]
    columns = [Column(MODEL["file"], "code"), Column(MODEL["size"], "number"), Column(MODEL["hash"], "code")]
    rows = [[file.path, format_bytes(file.size_bytes), file.sha256] for file in lock.files]
    files = Disclosure(MODEL["files"], [Table(MODEL["files"], columns, rows)])
    return Section("model", SECTIONS["model"], [Facts(facts), files], READING["model"])


def build_environment_section(pack: Pack) -> Section:
    """Build the section with code, packages, machine, and the files of the run directory."""
    files = Disclosure(
        ENVIRONMENT["files"],
        [
            Table(
                ENVIRONMENT["files"],
                [Column(ENVIRONMENT["file"], "code"), Column(ENVIRONMENT["role"])],
                [[name, role] for name, role in RUN_FILES],
            )
        ],
    )
    environment = pack.files.environment
    if environment is None:
        blocks: list[Block] = [Notice(ENVIRONMENT["none"], "bad"), files]
    else:
        locks = Table(
            ENVIRONMENT["locks"],
            [
                Column(ENVIRONMENT["lock"], "name"),
                Column(ENVIRONMENT["num_packages"], "number"),
                Column(ENVIRONMENT["lock_hash"], "code"),
            ],
            [
                [name, str(len(environment.packages.get(name, {}))), sha256]
                for name, sha256 in sorted(environment.locks.items())
            ],
        )
        command = Command(" ".join(environment.command), ENVIRONMENT["command"])
        blocks = [Facts(_list_facts(pack)), locks, command, files]
    return Section("environment", SECTIONS["environment"], blocks, READING["environment"])


def _list_facts(pack: Pack) -> list[Fact]:
    environment = pack.files.environment
    if environment is None:
        return []
    code, hardware = environment.code, environment.hardware
    facts = [
        Fact(ENVIRONMENT["created"], format_time(environment.created_at)),
        Fact(ENVIRONMENT["version"], code.version),
        Fact(ENVIRONMENT["commit"], _describe(code.repository)),
        Fact(ENVIRONMENT["source"], code.source_sha256, is_code=True),
        Fact(ENVIRONMENT["seed"], str(pack.files.weekjob.spec.seed)),
        Fact(ENVIRONMENT["python"], environment.python),
        Fact(ENVIRONMENT["platform"], environment.platform),
        Fact(ENVIRONMENT["cpu"], hardware.cpu),
        Fact(ENVIRONMENT["cores"], f"{hardware.physical_cores} / {hardware.logical_cores}"),
        Fact(ENVIRONMENT["memory"], format_bytes(hardware.memory_bytes)),
        Fact(ENVIRONMENT["gpus"], ", ".join(hardware.gpus) or ENVIRONMENT["no_gpu"]),
        Fact(ENVIRONMENT["threads"], str(environment.num_threads)),
    ]
    if code.workspace is not None:
        facts.insert(3, Fact(ENVIRONMENT["workspace"], _describe(code.workspace)))
    return facts


def _describe(repository: Repository | None) -> Text:
    if repository is None:
        return "–"
    shown = ENVIRONMENT["dirty" if repository.is_dirty else "clean"]
    return shown.format(commit=repository.commit[:_SHORT_COMMIT])
