"""The fresh split: rows that nobody looked at, because those of the last evaluation are no test set any more."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import islice

from practicum_core.errors import DataError, Reason
from practicum_core.rows import Row
from practicum_core.stages.compare import ItemSlice
from practicum_core.texts import Bilingual
from practicum_jobs.datasets.sources import read_strictly
from practicum_jobs.datasets.tickets import build_rows, read_ticket_options
from practicum_jobs.iterate.material import FailedRow, Material
from practicum_jobs.text.overlap import find_overlap

FRESH = "fresh"
_TICKETS = "builtin:tickets?"
_DRAWN = Bilingual(
    "drawn with another seed from the templates of the test split: new items, wordings that were seen",
    "用另一个随机种子从测试划分的模板中抽取：样本是新的，措辞是见过的",
)
_GIVEN = Bilingual("the split fresh of the data", "数据自带的 fresh 划分")
_LEFT = Bilingual("rows that the last evaluation did not answer", "上次评测未作答的样本")
_SAME = Bilingual("nothing was repaired: the rows of the last evaluation", "没有需要修复的内容，仍用上次评测的样本")


@dataclass(frozen=True)
class FreshSplit:
    """Rows that are scored after the repair.

    Attributes:
        rows: The rows.
        num_left_out: How many candidates overlapped with known rows.
        origin: Where the rows come from.
        is_unseen: Whether nobody looked at them; not so where the rows of the last evaluation stand in.
    """

    rows: Sequence[Row]
    num_left_out: int
    origin: Bilingual
    is_unseen: bool = True


def build_fresh(material: Material, known: Sequence[Row], limit: int | None) -> FreshSplit:
    """Return fresh rows that overlap neither with training rows nor with rows that were looked at.

    Where nothing failed and no such row is left, the rows of the last evaluation stand in.

    Args:
        material: What was evaluated.
        known: Every row that is trained or selected on.
        limit: Rows at most.

    Raises:
        DataError: No fresh row is left for what failed.
    """
    candidates, origin = _list_candidates(material)
    texts = [(row.id, row.user_text) for row in candidates]
    trained = find_overlap(((row.id, row.user_text) for row in known), texts)
    looked_at = find_overlap(((row.id, row.user_text) for row in material.seen), texts)
    # Rows of one wording share long runs of words without being the same question: with rows that were only looked
    # at, equal and nearly equal ones count.
    refused = {*trained.exact, *trained.near, *trained.ngram, *looked_at.exact, *looked_at.near}
    rows = list(islice((row for row in candidates if row.id not in refused), limit))
    if not rows and not material.failures:
        return FreshSplit(list(_rename(iter(material.seen))), 0, _SAME, is_unseen=False)
    if not rows:
        raise DataError(
            f"{material.source.uri}: no row is left that nobody looked at",
            "add rows as a split of their own (fresh.jsonl), or evaluate fewer rows before: --set evaluate.limit=N",
            Reason.DATA_MISSING,
        )
    return FreshSplit(rows, len(refused), origin)


def _list_candidates(material: Material) -> tuple[list[Row], Bilingual]:
    source = material.source
    if FRESH in source.splits:
        return list(_rename(read_strictly(source, FRESH))), _GIVEN
    if source.uri.startswith(_TICKETS):
        options = read_ticket_options(source.uri.removeprefix(_TICKETS))
        return list(_rename(build_rows(replace(options, seed=options.seed + 1), material.split))), _DRAWN
    seen = {row.id for row in material.seen}
    return list(_rename(row for row in read_strictly(source, material.split) if row.id not in seen)), _LEFT


def _rename(rows: Iterator[Row]) -> Iterator[Row]:
    """Number the rows anew: an id of the fresh split must not name a row of another."""
    for number, row in enumerate(rows):
        yield row.model_copy(update={"id": f"{FRESH}-{number:07d}"})


def build_slice(failed: Sequence[FailedRow]) -> ItemSlice:
    """Name the slice that failed: the groups of the failures, and the tasks of those without a group."""
    return ItemSlice(
        groups=sorted({one.row.group for one in failed if one.row.group}),
        tasks=sorted({one.row.task for one in failed if not one.row.group}),
    )
