"""General questions that are mixed into training data so that a model forgets less.

Their kinds are others than those of the control split: what a control question asks is never trained on.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence

from practicum_core.rows import Message, Row
from practicum_jobs.datasets.draws import Draw

Item = tuple[str, str]
GeneralItem = tuple[str, str, str]
"""A question, its short answer, and the answer as a sentence."""

_PLURALS = (
    ("mouse", "mice"), ("child", "children"), ("foot", "feet"), ("leaf", "leaves"), ("city", "cities"),
    ("box", "boxes"), ("man", "men"), ("tooth", "teeth"), ("knife", "knives"), ("baby", "babies"),
    ("bus", "buses"), ("goose", "geese"),
)  # fmt: skip
_PAST = (
    ("go", "went"), ("eat", "ate"), ("see", "saw"), ("run", "ran"), ("write", "wrote"), ("take", "took"),
    ("give", "gave"), ("speak", "spoke"), ("buy", "bought"), ("sing", "sang"), ("drive", "drove"), ("begin", "began"),
)  # fmt: skip
_CONTINENTS = (
    ("Brazil", "South America"), ("India", "Asia"), ("Nigeria", "Africa"), ("Spain", "Europe"), ("Vietnam", "Asia"),
    ("Canada", "North America"), ("Morocco", "Africa"), ("Norway", "Europe"), ("Mexico", "North America"),
    ("Argentina", "South America"), ("Greece", "Europe"), ("Nepal", "Asia"),
)  # fmt: skip
_DAYS = ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday")
_MONTHS = (
    "January", "February", "March", "April", "May", "June", "July", "August", "September", "October", "November",
    "December",
)  # fmt: skip
_COLOURS = (
    ("grass", "green"), ("a clear sky", "blue"), ("snow", "white"), ("coal", "black"), ("a ripe banana", "yellow"),
    ("blood", "red"), ("milk", "white"), ("a ripe tomato", "red"), ("a carrot", "orange"), ("the night", "black"),
)  # fmt: skip
_ANIMALS = (
    ("barks", "dog"), ("meows", "cat"), ("gives milk and says moo", "cow"), ("hops and has a pouch", "kangaroo"),
    ("has a trunk", "elephant"), ("makes honey", "bee"), ("has a very long neck", "giraffe"), ("neighs", "horse"),
)  # fmt: skip
_USES = (
    ("cut paper", "scissors"), ("open a lock", "key"), ("tell the time", "clock"), ("see far away", "telescope"),
    ("write on a board", "chalk"), ("drive a nail", "hammer"), ("measure length", "ruler"),
)  # fmt: skip
_YES_NO = (
    ("Is ice cold?", "Yes"), ("Can fish fly to the moon?", "No"), ("Is the sun a star?", "Yes"),
    ("Do cats have wings?", "No"), ("Is water wet?", "Yes"), ("Does a week have ten days?", "No"),
    ("Do birds lay eggs?", "Yes"), ("Is a stone alive?", "No"),
)  # fmt: skip
_YOUNG = (
    ("dog", "puppy"), ("cat", "kitten"), ("cow", "calf"), ("sheep", "lamb"), ("horse", "foal"), ("hen", "chick"),
    ("duck", "duckling"), ("lion", "cub"), ("pig", "piglet"), ("frog", "tadpole"),
)  # fmt: skip
_HOW_MANY = (
    ("legs does a spider have", "8"), ("days are in a week", "7"), ("months are in a year", "12"),
    ("wheels does a car have", "4"), ("minutes are in an hour", "60"), ("sides does a triangle have", "3"),
    ("legs does an ant have", "6"), ("fingers are on one hand", "5"), ("seasons are in a year", "4"),
    ("letters are in the English alphabet", "26"),
)  # fmt: skip
_CONTINENTS_ZH = (
    ("巴西", "南美洲"), ("印度", "亚洲"), ("尼日利亚", "非洲"), ("西班牙", "欧洲"), ("加拿大", "北美洲"),
    ("越南", "亚洲"), ("摩洛哥", "非洲"), ("挪威", "欧洲"), ("墨西哥", "北美洲"), ("阿根廷", "南美洲"),
)  # fmt: skip
_DAYS_ZH = ("星期一", "星期二", "星期三", "星期四", "星期五", "星期六", "星期日")
_COLOURS_ZH = (
    ("草", "绿色"), ("晴朗的天空", "蓝色"), ("雪", "白色"), ("煤", "黑色"), ("熟香蕉", "黄色"), ("血", "红色"),
    ("牛奶", "白色"), ("熟番茄", "红色"), ("胡萝卜", "橙色"),
)  # fmt: skip
_MEASURES_ZH = (
    ("书", "本"), ("马", "匹"), ("纸", "张"), ("车", "辆"), ("鱼", "条"), ("树", "棵"), ("衣服", "件"), ("花", "朵"),
    ("笔", "支"), ("船", "艘"),
)  # fmt: skip
_ANIMALS_ZH = (
    ("会汪汪叫", "狗"), ("会喵喵叫", "猫"), ("鼻子很长", "大象"), ("会酿蜜", "蜜蜂"), ("脖子很长", "长颈鹿"),
    ("有育儿袋", "袋鼠"),
)  # fmt: skip
_USES_ZH = (
    ("剪纸", "剪刀"), ("开锁", "钥匙"), ("看时间", "钟"), ("扫地", "扫帚"), ("钉钉子", "锤子"), ("量长度", "尺子"),
)  # fmt: skip
_HOW_MANY_ZH = (
    ("一个星期有几天", "7"), ("一年有几个月", "12"), ("蜘蛛有几条腿", "8"), ("三角形有几条边", "3"),
    ("一小时有多少分钟", "60"), ("一只手有几根手指", "5"),
)  # fmt: skip
_YES_NO_ZH = (
    ("冰是冷的吗？", "是"), ("鱼会飞到月亮上吗？", "否"), ("太阳是恒星吗？", "是"), ("猫有翅膀吗？", "否"),
    ("一个星期有十天吗？", "否"), ("鸟会下蛋吗？", "是"),
)  # fmt: skip


def _ask(form: str, sentence: str, pool: Sequence[Item]) -> list[GeneralItem]:
    return [(form.format(subject), answer, sentence.format(subject, answer)) for subject, answer in pool]


def _follow(form: str, sentence: str, names: Sequence[str]) -> list[GeneralItem]:
    return _ask(form, sentence, list(zip(names, [*names[1:], names[0]], strict=True)))


_ITEMS: Mapping[str, Sequence[Sequence[GeneralItem]]] = {
    "en": (
        _ask("What is the plural of {}?", "The plural of {} is {}.", _PLURALS),
        _ask("What is the past tense of {}?", "The past tense of {} is {}.", _PAST),
        _ask("On which continent is {}?", "{} is in {}.", _CONTINENTS),
        _follow("Which day comes after {}?", "The day after {} is {}.", _DAYS),
        _follow("Which month comes after {}?", "The month after {} is {}.", _MONTHS),
        _ask("What colour is {}?", "The colour of {} is {}.", _COLOURS),
        _ask("Which animal {}?", "The animal that {} is the {}.", _ANIMALS),
        _ask("What tool do you use to {}?", "The tool to {}: {}.", _USES),
        _ask("{} Answer yes or no.", "{1}.", _YES_NO),
        _ask("What is a young {} called? Answer with one word.", "{1}", _YOUNG),
        _ask("How many {}? Answer with a number.", "{1}", _HOW_MANY),
    ),
    "zh": (
        _ask("{}在哪个洲？", "{}在{}。", _CONTINENTS_ZH),
        _follow("{}的后一天是星期几？", "{}的后一天是{}。", _DAYS_ZH),
        _ask("{}是什么颜色的？", "{}是{}的。", _COLOURS_ZH),
        _ask("“{}”用什么量词？", "“{}”的量词是“{}”。", _MEASURES_ZH),
        _ask("哪种动物{}？", "{1}{0}。", _ANIMALS_ZH),
        _ask("用什么{}？", "用{1}{0}。", _USES_ZH),
        _ask("{}回答是或否。", "{1}。", _YES_NO_ZH),
        _ask("{}？用数字回答。", "{1}", _HOW_MANY_ZH),
    ),
}
LANGUAGES = tuple(_ITEMS)


def iter_general_rows(languages: Sequence[str], seed: int, *, in_sentences: bool = False) -> Iterator[Row]:
    """Yield every general question of some languages once, the kinds and languages in turn.

    Args:
        languages: Of :data:`LANGUAGES`.
        seed: Orders the questions of each kind.
        in_sentences: Whether the answers are sentences, as a chat model writes them, and not single words.

    >>> [row.answer for row in iter_general_rows(["en"], 7)].count("mice")
    1
    >>> [row.answer for row in iter_general_rows(["en"], 7, in_sentences=True)].count("The plural of mouse is mice.")
    1
    """
    draw = Draw(seed)
    kinds = [draw.sample(items, len(items)) for language in languages for items in _ITEMS[language]]
    owners = [language for language in languages for _ in _ITEMS[language]]
    number = 0
    for turn in range(max(map(len, kinds), default=0)):
        for language, items in zip(owners, kinds, strict=True):
            if turn < len(items):
                question, word, sentence = items[turn]
                yield Row(
                    id=f"general-{number:04d}",
                    messages=[Message(role="user", content=question)],
                    answer=sentence if in_sentences else word,
                    task="question",
                    language=language,
                )
                number += 1
