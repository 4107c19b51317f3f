"""The page on which a person rates pairs of answers: one file that works offline, by keyboard and on a phone.

The page's content security policy forbids all requests and all scripts but its own two. Answers of models travel as
data in a block of JSON and are shown by ``textContent``, so nothing in them becomes markup.
"""

from __future__ import annotations

import json
from collections.abc import Sequence

from markupsafe import Markup

from practicum_core.blind_files import BlindItem
from practicum_core.texts import Bilingual
from practicum_jobs.render.page import get_environment, hash_script


def render_ballot(items: Sequence[BlindItem], key_sha256: str, items_sha256: str) -> str:
    """Render the page.

    Args:
        items: In the order in which they are rated.
        key_sha256: SHA-256 of the sealed key, which the page publishes and which names the test.
        items_sha256: SHA-256 of the items.
    """
    environment = get_environment()
    scripts = [environment.get_template(name).render() for name in ("language.js", "ballot.js")]
    style = "".join(environment.get_template(name).render() for name in ("page.css", "ballot.css"))
    payload = {
        "key_sha256": key_sha256,
        "items_sha256": items_sha256,
        "items": [item.model_dump(mode="json") for item in items],
    }
    return environment.get_template("ballot.html").render(
        title=TITLE,
        texts=TEXTS,
        key_sha256=key_sha256,
        items_sha256=items_sha256,
        payload=Markup(escape_json(payload)),  # noqa: S704 - escaped for a script element
        scripts=[Markup(script) for script in scripts],  # noqa: S704 - files of this package
        digests=[hash_script(script) for script in scripts],
        style=Markup(style),  # noqa: S704 - files of this package
    )


def escape_json(value: object) -> str:
    r"""Write JSON for the inside of a script element, which no text in it can close.

    >>> escape_json("</script><!--")
    '"\\u003c/script\\u003e\\u003c!--"'
    """
    text = json.dumps(value, ensure_ascii=False)
    for character in ("<", ">", "&", "\u2028", "\u2029"):
        text = text.replace(character, f"\\u{ord(character):04x}")
    return text


TITLE = Bilingual("Which answer is better?", "哪个回答更好？")
TEXTS = {
    "eyebrow": Bilingual("Practicum · blind test", "Practicum · 盲评"),
    "lead": Bilingual(
        "You see a question and two answers. Say which answer you would rather get, or that they are equally good. "
        "Nobody can see here which model wrote which answer; some pairs only check that you read them.",
        "每题有一个问题和两个回答。请选出您更愿意得到的回答，或选择两者一样好。"
        "页面上看不出哪个回答来自哪个模型；个别题目只用来确认您认真阅读。",
    ),
    "rater": Bilingual("Your label", "您的代号"),
    "rater_hint": Bilingual(
        "Any short label, such as rater-1. It need not be your name.", "任意简短代号，例如 rater-1，不必使用真名。"
    ),
    "start": Bilingual("Start", "开始"),
    "resume": Bilingual("Go on", "继续"),
    "anew": Bilingual("Erase and start anew", "清除并重新开始"),
    "anew_sure": Bilingual("Press again to erase all answers", "再按一次将清除所有评分"),
    "load": Bilingual("Load ratings that you saved earlier", "载入之前保存的评分文件"),
    "load_failed": Bilingual("That file holds no ratings of this page.", "该文件不是本页面的评分。"),
    "not_saved": Bilingual(
        "This browser does not keep your answers. Save the file before you close the page; you can load it again here.",
        "此浏览器无法保存您的评分。关闭页面前请保存文件，之后可以在此重新载入。",
    ),
    "kept": Bilingual(
        "Your answers are kept in this browser after every click.", "每次点击后，评分都会保存在此浏览器中。"
    ),
    "question": Bilingual("Question", "问题"),
    "first": Bilingual("First answer", "第一个回答"),
    "second": Bilingual("Second answer", "第二个回答"),
    "empty": Bilingual("(empty answer)", "（空回答）"),
    "choose_first": Bilingual("First is better", "第一个更好"),
    "choose_tie": Bilingual("Equally good", "一样好"),
    "choose_second": Bilingual("Second is better", "第二个更好"),
    "back": Bilingual("Back", "上一题"),
    "next": Bilingual("Next", "下一题"),
    "key_hint": Bilingual(
        "Keys: 1 or ← first, 2 equally good, 3 or → second, Backspace back.",
        "按键：1 或 ← 选第一个，2 一样好，3 或 → 选第二个，退格键返回上一题。",
    ),
    "done": Bilingual("All pairs are rated. Thank you.", "全部评完，谢谢。"),
    "done_lead": Bilingual(
        "Save the file and send it to the person who gave you this page.", "请保存文件，并发给提供此页面的人。"
    ),
    "save": Bilingual("Save my ratings", "保存我的评分"),
    "save_part": Bilingual("Save what I have so far", "保存目前的评分"),
    "review": Bilingual("Look at my answers again", "再看一遍我的评分"),
    "copy_text": Bilingual("If no file appears, copy this text instead", "如果没有出现文件，请复制以下文字"),
    "noscript": Bilingual("This page needs JavaScript, which is switched off.", "此页面需要启用 JavaScript。"),
    "seal": Bilingual("SHA-256 of the sealed key", "封存密钥的 SHA-256"),
    "items_hash": Bilingual("SHA-256 of the items", "题目的 SHA-256"),
}
