"""The result of a replay as text for a terminal."""

from __future__ import annotations

from typing import Any

from practicum_cli.tables import format_table
from practicum_core.stages.loadtest import LoadtestRecord
from practicum_core.stages.replays import ReplayVerdict

_HEADER = ("COMPARED", "REPLAY", "RECORDED", "")
_VERDICTS = {
    ReplayVerdict.SAME: "the replay was the same as the recording",
    ReplayVerdict.DIFFERS: "the replay differed from the recording",
    ReplayVerdict.NOT_COMPARABLE: "not comparable: this machine did not send the requests at their recorded times",
}


def describe_replay(document: dict[str, Any]) -> str:
    """Describe the record of a replay.

    Args:
        document: The record as it was written.
    """
    record = LoadtestRecord.model_validate(document)
    if record.replayed is None:
        return "nothing was replayed"
    rows = [
        [one.name.replace("_", " "), one.shown, one.bound, "" if one.is_met else "differs"]
        for one in record.replayed.findings
    ]
    return "\n".join([format_table(_HEADER, rows), "", _VERDICTS[record.replayed.verdict]])
