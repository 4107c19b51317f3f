"""The rows of the control split: small general tasks whose answers fine-tuning on tickets must not change.

They have no system prompt and contain no product, order or city of the tickets.
"""

from __future__ import annotations

from collections.abc import Callable

Item = tuple[str, str]
"""A question and its short answer."""

_CAPITALS_EN = (
    ("France", "Paris"), ("Italy", "Rome"), ("Japan", "Tokyo"), ("Egypt", "Cairo"), ("Russia", "Moscow"),
    ("China", "Beijing"), ("Cuba", "Havana"), ("Peru", "Lima"), ("Kenya", "Nairobi"), ("Iraq", "Baghdad"),
    ("Poland", "Warsaw"), ("Hungary", "Budapest"), ("Sweden", "Stockholm"), ("Finland", "Helsinki"),
    ("Denmark", "Copenhagen"), ("Belgium", "Brussels"), ("Thailand", "Bangkok"), ("Turkey", "Ankara"),
    ("Ukraine", "Kyiv"), ("Bulgaria", "Sofia"), ("Romania", "Bucharest"), ("Iran", "Tehran"), ("Chile", "Santiago"),
    ("Ghana", "Accra"), ("Qatar", "Doha"),
)  # fmt: skip
_CAPITALS_ZH = (
    ("法国", "巴黎"), ("意大利", "罗马"), ("日本", "东京"), ("埃及", "开罗"), ("俄罗斯", "莫斯科"), ("古巴", "哈瓦那"),
    ("秘鲁", "利马"), ("肯尼亚", "内罗毕"), ("伊拉克", "巴格达"), ("波兰", "华沙"), ("匈牙利", "布达佩斯"),
    ("瑞典", "斯德哥尔摩"), ("芬兰", "赫尔辛基"), ("丹麦", "哥本哈根"), ("比利时", "布鲁塞尔"), ("泰国", "曼谷"),
    ("土耳其", "安卡拉"), ("乌克兰", "基辅"), ("保加利亚", "索非亚"), ("罗马尼亚", "布加勒斯特"), ("伊朗", "德黑兰"),
    ("智利", "圣地亚哥"), ("加纳", "阿克拉"), ("卡塔尔", "多哈"), ("韩国", "首尔"),
)  # fmt: skip
_OPPOSITES_EN = (
    ("hot", "cold"), ("big", "small"), ("up", "down"), ("day", "night"), ("wet", "dry"), ("open", "closed"),
    ("full", "empty"), ("early", "late"), ("happy", "sad"), ("fast", "slow"), ("rich", "poor"), ("old", "young"),
    ("light", "dark"), ("left", "right"), ("true", "false"), ("hard", "soft"), ("high", "low"), ("win", "lose"),
    ("near", "far"), ("clean", "dirty"), ("long", "short"), ("first", "last"), ("loud", "quiet"), ("thick", "thin"),
    ("sweet", "bitter"),
)  # fmt: skip
_OPPOSITES_ZH = (
    ("热", "冷"), ("大", "小"), ("上", "下"), ("白天", "黑夜"), ("湿", "干"), ("开", "关"), ("满", "空"), ("早", "晚"),
    ("高兴", "难过"), ("快", "慢"), ("富", "穷"), ("老", "少"), ("亮", "暗"), ("左", "右"), ("真", "假"), ("硬", "软"),
    ("高", "低"), ("赢", "输"), ("近", "远"), ("干净", "脏"), ("长", "短"), ("前", "后"), ("吵", "静"), ("厚", "薄"),
    ("甜", "苦"),
)  # fmt: skip
_WORDS = (
    "river", "stone", "cloud", "forest", "bridge", "silver", "garden", "winter", "candle", "planet", "island",
    "ocean", "meadow", "thunder", "feather", "marble", "harvest", "shadow", "whisper", "canyon", "desert", "glacier",
    "pebble", "sunset", "valley",
)  # fmt: skip


def build_control_item(language: str, number: int, shift: int) -> tuple[str, Item]:
    """Return the kind and the content of the control item ``number`` (from 0) of a language.

    No item repeats among the first 200 of one ``shift``, which moves the numbers that items are made of.

    >>> build_control_item("en", 1, 0)
    ('capital', ('What is the capital of France?', 'Paris'))
    """
    kinds = _KINDS[language]
    name, build = kinds[number % len(kinds)]
    return name, build(number // len(kinds), shift)


def _build_sum(form: str) -> Callable[[int, int], Item]:
    def build(turn: int, shift: int) -> Item:
        index = (turn * 1009 + shift) % (48 * 47)
        left, right = 2 + index % 48, 2 + index // 48
        return form.format(left, right), str(left + right)

    return build


def _build_difference(form: str) -> Callable[[int, int], Item]:
    def build(turn: int, shift: int) -> Item:
        index = (turn * 1009 + shift) % (49 * 47)
        left, right = 50 + index % 49, 2 + index // 49
        return form.format(left, right), str(left - right)

    return build


def _build_double(form: str) -> Callable[[int, int], Item]:
    def build(turn: int, shift: int) -> Item:
        number = 11 + (turn * 37 + shift) % 89
        return form.format(number), str(2 * number)

    return build


def _build_before(form: str) -> Callable[[int, int], Item]:
    def build(turn: int, shift: int) -> Item:
        number = 101 + (turn * 97 + shift) % 800
        return form.format(number), str(number - 1)

    return build


def _build_count(form: str) -> Callable[[int, int], Item]:
    def build(turn: int, shift: int) -> Item:
        index = (turn * 101 + shift) % (90 * 4)
        first, last = 1 + index % 90, 3 + index % 90 + index // 90
        return form.format(first, last), ", ".join(str(number) for number in range(first, last + 1))

    return build


def _pick(pool: tuple[Item, ...], form: str) -> Callable[[int, int], Item]:
    def build(turn: int, _shift: int) -> Item:
        subject, answer = pool[turn % len(pool)]
        return form.format(subject), answer

    return build


_UPPER = tuple((word, word.upper()) for word in _WORDS)
_KINDS: dict[str, tuple[tuple[str, Callable[[int, int], Item]], ...]] = {
    "en": (
        ("sum", _build_sum("What is {} plus {}? Answer with a number.")),
        ("capital", _pick(_CAPITALS_EN, "What is the capital of {}?")),
        ("count", _build_count("Count from {} to {}, separated by commas.")),
        ("opposite", _pick(_OPPOSITES_EN, "What is the opposite of {}? Answer with one word.")),
        ("difference", _build_difference("What is {} minus {}? Answer with a number.")),
        ("upper", _pick(_UPPER, "Write the word {} in capital letters.")),
        ("double", _build_double("What is {} times two? Answer with a number.")),
        ("before", _build_before("Which number comes right before {}?")),
    ),
    "zh": (
        ("sum", _build_sum("{}加{}等于几？只答数字。")),
        ("capital", _pick(_CAPITALS_ZH, "{}的首都是哪里？")),
        ("count", _build_count("从{}数到{}，用逗号隔开。")),
        ("opposite", _pick(_OPPOSITES_ZH, "“{}”的反义词是什么？只答一个词。")),
        ("difference", _build_difference("{}减{}等于几？只答数字。")),
        ("upper", _pick(_UPPER, "把单词{}写成大写。")),
        ("double", _build_double("{}乘二等于几？只答数字。")),
        ("before", _build_before("{}的前一个数是几？")),
    ),
}
