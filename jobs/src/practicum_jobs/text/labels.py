"""Words beside a number that say what it numbers: a telephone, an order, an amount."""

from __future__ import annotations

import re

SIGN = r"[\"'`*_”’]{0,3} {0,2}(?:[:=|是为(#]|is)? {0,2}[\"'`*“‘]{0,3}"
"""What may stand between a word and the value it names, or nothing: a sign, quotes, the emphasis of Markdown."""
BEFORE_CHARS = 32
AFTER_CHARS = 16

PHONE = re.compile(
    r"手机|手機|电话|電話|座机|固话|总机|總機|传真|热线|短信|致电|来电|拨|撥|打给|打給|找我|联系|聯絡|聯繫|联络"
    r"|請撥|傳真|携帯|号码"
    r"|whatsapp|(?<![a-z])(?:tel|telephone|phone|mobile|mob|cell|call|ring|dial|fax|contact|sms|text|ph)(?![a-z])"
    r"|phone|mobile",
    re.IGNORECASE,
)
PHONE_WORD = re.compile(
    r"(?<![A-Za-z])(?:tel|telephone|phone|mobile|mob|cell|call|fax|contact|whatsapp|sms|dial|ring|ph|sj|shouji|dianhua)$",
    re.IGNORECASE,
)
LANDLINE = re.compile(
    r"(?:座机|固话|固定电话|办公电话|办公室电话|公司电话|单位电话|总机|宅电|家庭电话|家里电话|家中电话|电话|landline)"
    r"(?:号码|号)?[^0-9A-Za-z\u4e00-\u9fff\n]{0,3}(?:是|为)?$",
    re.IGNORECASE,
)
_FILL = r"[^0-9A-Za-z\u4e00-\u9fff\n]"
_OTHER = re.compile(
    r"(?:订单|訂單|单号|單號|运单|運單|快递|快遞|物流|编号|編號|序列|序号|序號|流水|交易|发票|批次|批号|工号|学号|货号"
    r"|型号|料号|零件|部件|编码|代码|条码|条形码|验证码|文号|案号|合同|保单|样本|[图票房桌座户考件单]号|会员号|档案号|资产号"
    r"|[第量数额价约共近超]|人口|总计|合计|共计|总数|计数|种子|时间戳"
    r"|(?:(?<![A-Za-z])|(?<=_))(?:id|ids|uid|oid|pid|s/n|sn|serial|order|tracking|waybill|parcel|shipment|invoice|batch"
    r"|part|sku|item|lot|ticket|trace|job|run|row|line|sum|total|count|seed|timestamp|ts|time|epoch|nsn|catalog"
    r"|catalogue|sequence|seq|ref|reference|build|commit|hash|tokens?|steps?|loss|lr|model|version|offset|size|index"
    r"|isbn|issn|ean|upc|doi|page|population|amount|price|value|hs|cas|case|docket|patent|values))"
    rf"{_FILL}{{0,2}}(?:号码|号|碼|码|number|num|nos?|nr|code|id)?{_FILL}{{0,6}}(?:为|是|is|was|of)?{_FILL}{{0,3}}$",
    re.IGNORECASE,
)
"""What numbers something that is no person, directly before the number."""
_UNIT = re.compile(
    r" ?(?:tokens?|rows?|bytes?|[KMG]i?B|ms|steps?|users|people|times|dollars|usd|yuan|rmb|km|kg|px|hz|%|‰|[×*=^]"
    r"|元|块钱|人次|个人|个字|个词|个样|美元|美金|次|步|行|吨|公里|平方|立方|字节|毫秒|参数)"
    r"|\.(?:html?|php|aspx?|jpe?g|png|gif|webp|mp[34]|pdf|docx?|xlsx?|zip|txt|csv|json|md|log)(?![A-Za-z])"
    r"|[eE][+\-]?[0-9]",
    re.IGNORECASE,
)
_PATH = re.compile(
    r"(?:https?://|www\.)[^\s?]*/$|(?:IMG|VID|DSC|PXL|MVIMG|mmexport|Screenshot|wx_camera)_?$", re.IGNORECASE
)


def get_before(text: str, start: int, chars: int = BEFORE_CHARS) -> str:
    """Return what stands before a place."""
    return text[max(0, start - chars) : start]


def has_label(label: re.Pattern[str], text: str, start: int, end: int) -> bool:
    """Whether words like ``label`` stand within a few words of a place."""
    return label.search(get_before(text, start)) is not None or label.search(text[end : end + AFTER_CHARS]) is not None


def has_phone_label(text: str, start: int) -> bool:
    """Whether a word for telephones stands shortly before a place.

    >>> has_phone_label("请打 13800138000", 3), has_phone_label("Call me at 5", 11)
    (False, True)
    """
    return PHONE.search(get_before(text, start)) is not None


def counts_something(text: str, start: int, end: int) -> bool:
    """Whether words beside a number say that it is an amount, a file's name or the number of a thing.

    >>> counts_something("订单13604602623", 2, 13), counts_something("订单电话13604602623", 4, 15)
    (True, False)
    >>> counts_something("13968802084 tokens", 0, 11)
    True
    """
    before = get_before(text, start)
    return (
        _OTHER.search(before) is not None
        or _UNIT.match(text, end) is not None
        or _PATH.search(get_before(text, start, 200)) is not None
    )
