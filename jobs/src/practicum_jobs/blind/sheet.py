"""The items of a blind test and its key: which pairs are drawn, which side shows which model, and the checks. Pure.

The seed decides which pairs are drawn. Sides, order and checks also depend on the salt, which only the key holds:
whoever knows the seed and sees the page cannot compute the assignment.
"""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import dataclass, replace

from practicum_core.blind_files import BlindItem, BlindKey, CheckKind, Choice, KeyItem, hash_items
from practicum_core.stages.evaluate import EvaluationSample
from practicum_jobs.blind.model_names import remove_names
from practicum_jobs.render.foreign_text import make_visible, shorten
from practicum_jobs.scoring.evaluation_samples import write_prompt
from practicum_jobs.text.script import Script, classify_texts

MAX_TEXT = 6000
"""Characters of a text that the page shows."""

_OFF_TOPIC_EN = (
    "The weather was pleasant on Sunday, so we walked along the river and bought two loaves of bread.",
    "A bicycle has two wheels. Most cats sleep in the afternoon. The train leaves from platform nine.",
    "To repaint a wooden fence, first brush off the dust, then let each coat dry for a night.",
)
_OFF_TOPIC_ZH = (
    "星期天天气很好，我们沿着河边散步，还买了两个面包。",
    "自行车有两个轮子。猫下午喜欢睡觉。火车从九号站台出发。",
    "给木栅栏重新刷漆时，先扫去灰尘，每刷一层都要晾一夜。",
)


@dataclass(frozen=True)
class Options:
    """How many pairs and checks a test has, and which names it hides."""

    num_items: int
    num_identical: int
    num_planted: int
    names: Sequence[str]
    seed: int


@dataclass(frozen=True)
class Sheet:
    """What the page shows, and the key to it."""

    items: list[BlindItem]
    key: BlindKey


@dataclass(frozen=True)
class _Entry:
    """One item before it has an id: its two texts are the candidate's (or the good one's) and the other's."""

    sample: EvaluationSample
    right: str
    other: str
    check: CheckKind | None = None
    side: Choice = Choice.FIRST


def build_sheet(samples: Sequence[EvaluationSample], options: Options, salt: str) -> Sheet | None:
    """Draw the pairs, hide the names and assign the sides; ``None`` where no pair differs.

    Args:
        samples: Answers of two models.
        options: Sizes, names and seed.
        salt: Unknown to raters, kept in the key alone.
    """
    ordered = sorted(samples, key=lambda sample: sample.id)
    differing = [one for one in ordered if not _is_equal(one)]
    if not differing:
        return None
    drawn = random.Random(options.seed).sample(differing, min(options.num_items, len(differing)))  # noqa: S311 - which pairs are drawn is no secret
    secret = random.Random(f"{salt}:{options.seed}")  # noqa: S311 - the salt is a hash that raters cannot compute
    chosen = {one.id for one in drawn}
    others = [one for one in ordered if one.id not in chosen] or drawn
    entries = [
        *_assign([_Entry(one, one.candidate or "", one.base or "") for one in drawn], secret),
        *_assign(_build_identical(others, options.num_identical, secret), secret),
        *_assign(_build_planted(others, options.num_planted, secret), secret),
    ]
    secret.shuffle(entries)
    built = [_build_item(f"item-{place:02d}", entry, options.names) for place, entry in enumerate(entries, start=1)]
    items = [item for item, _ in built]
    key = BlindKey(
        salt=salt,
        seed=options.seed,
        items_sha256=hash_items(items),
        num_pairs=len(ordered),
        num_identical_pairs=len(ordered) - len(differing),
        items=[entry for _, entry in built],
    )
    return Sheet(items, key)


def _is_equal(sample: EvaluationSample) -> bool:
    return (sample.base or "").strip() == (sample.candidate or "").strip()


def _assign(entries: list[_Entry], secret: random.Random) -> list[_Entry]:
    """Put the candidate on the first side in one half of the items, and on the second in the other."""
    first = secret.choice((Choice.FIRST, Choice.SECOND))
    second = Choice.SECOND if first is Choice.FIRST else Choice.FIRST
    sides = [first if place % 2 == 0 else second for place in range(len(entries))]
    secret.shuffle(sides)
    return [replace(entry, side=side) for entry, side in zip(entries, sides, strict=True)]


def _build_identical(samples: Sequence[EvaluationSample], count: int, secret: random.Random) -> list[_Entry]:
    drawn = _draw(samples, count, secret)
    texts = [secret.choice((one.base, one.candidate)) or one.candidate or one.base or "" for one in drawn]
    return [_Entry(one, text, text, CheckKind.IDENTICAL) for one, text in zip(drawn, texts, strict=True)]


def _build_planted(samples: Sequence[EvaluationSample], count: int, secret: random.Random) -> list[_Entry]:
    entries = []
    for sample in _draw(samples, count, secret):
        good = str(sample.expected or sample.candidate or sample.base or "")
        script = classify_texts([write_prompt(sample.prompt)])[0]
        off_topic = _OFF_TOPIC_ZH if script in {Script.CHINESE, Script.MIXED} else _OFF_TOPIC_EN
        entries.append(_Entry(sample, good, secret.choice(off_topic), CheckKind.PLANTED))
    return entries


def _draw(samples: Sequence[EvaluationSample], count: int, secret: random.Random) -> list[EvaluationSample]:
    """Draw samples, repeating them only where there are too few."""
    drawn: list[EvaluationSample] = []
    while len(drawn) < count:
        drawn += secret.sample(list(samples), min(count - len(drawn), len(samples)))
    return drawn


def _build_item(name: str, entry: _Entry, names: Sequence[str]) -> tuple[BlindItem, KeyItem]:
    sample, prompt = entry.sample, write_prompt(entry.sample.prompt)
    kept = f"{prompt}\n{sample.expected}"
    right, found = remove_names(entry.right, names, kept)
    other, found_too = remove_names(entry.other, names, kept)
    sides = (right, other) if entry.side is Choice.FIRST else (other, right)
    item = BlindItem(id=name, prompt=_show(prompt), first=_show(sides[0]), second=_show(sides[1]))
    key = KeyItem(
        id=name,
        sample=sample.id,
        task=sample.task,
        group=sample.group,
        prompt=prompt,
        base=entry.other,
        candidate=entry.right,
        candidate_side=entry.side,
        check=entry.check,
        names_removed=list(dict.fromkeys([*found, *found_too])),
    )
    return item, key


def _show(text: str) -> str:
    return shorten(make_visible(text), MAX_TEXT)
