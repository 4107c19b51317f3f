"""Shapes of cases: a kind of value, a spelling of it, and the sentences around it."""

import random
from collections.abc import Callable, Sequence
from dataclasses import dataclass

Spelling = Callable[[random.Random], str]

# Sentences in which a value needs no word beside it. The value takes the place of {}.
ANYWHERE = (
    "请把材料寄给我，{}，谢谢",
    "用户：我的资料是{}，帮我查一下",
    "assistant: I found {} in the record.",
    '{"question": "谁登记的？", "answer": "{}"}',
    "| 序号 | 内容 |\n|---|---|\n| 1 | {} |",
    "- **资料**：`{}`",
    "x = '{}'  # 录入",
    "第3行\t{}\t已核对",
    "（{}）",
    "登记表里写着{}。",
)


@dataclass(frozen=True, slots=True)
class Shape:
    """How one kind of case is written. No kinds: a hard negative."""

    name: str
    kinds: tuple[str, ...]
    spell: Spelling
    carriers: Sequence[str] = ANYWHERE
    count: int = 6


@dataclass(frozen=True, slots=True)
class Case:
    text: str
    truth: tuple[str, ...]
    shape: str


def expand(shape: Shape, rng: random.Random) -> list[Case]:
    """Texts of a shape, all different, its carriers in turn."""
    texts: dict[str, None] = {}
    for attempt in range(shape.count * 40):
        if len(texts) == shape.count:
            break
        carrier = shape.carriers[attempt % len(shape.carriers)]
        texts[carrier.replace("{}", shape.spell(rng))] = None
    return [Case(text, shape.kinds, shape.name) for text in texts]
