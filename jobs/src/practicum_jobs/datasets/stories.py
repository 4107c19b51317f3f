"""The sentences that make the rows of the flawed edition long and different from each other. Data only.

Pools of train, validation and test share no sentence, so that no long run of words stands on both sides by accident.
Slots: ``n`` a small number, ``w`` a day, ``c`` a city, ``p`` a product.
"""

from __future__ import annotations

from collections.abc import Mapping

DAYS: Mapping[str, tuple[str, ...]] = {
    "en": ("Monday", "Tuesday", "Wednesday", "Thursday", "Friday", "Saturday", "Sunday"),
    "zh": ("周一", "周二", "周三", "周四", "周五", "周六", "周日"),
}

_TRAIN_EN = (
    "My neighbour in {c} bought the same thing last {w} and has no complaint so far.",
    "I called the hotline {n} times on {w} and nobody picked up the phone.",
    "The leaflet in the box was printed in a language that nobody at home can read.",
    "We planned a party for {n} guests on {w} and wanted to have it by then.",
    "My sister recommended your shop after her trip to {c} in spring.",
    "The photo on your page showed {n} spare parts, and I counted fewer on {w}.",
    "I have been a customer for {n} years and never wrote to you before.",
    "Your shop in {c} told me on {w} that only this desk can help.",
    "The weather was bad all week, so I was at home waiting by the window.",
    "Please note that I travel to {c} on {w} and come back {n} days later.",
    "A friend who repairs such things looked at it for {n} minutes and gave up.",
    "The chat robot asked me the same question {n} times and then closed the window.",
    "I compared {n} other shops before choosing yours because of the good reviews.",
    "My old {p} lasted {n} years, which is why I trusted the brand.",
    "The postman on {w} was friendly but knew nothing about the matter.",
    "It was meant as a birthday present for my uncle, who lives near {c}.",
    "I kept all papers, the carton and the {n} plastic bags in the cellar.",
    "Your last message from {w} had no text, only the picture of a cat.",
    "We share the flat with {n} people, so somebody is always at the door.",
    "Last winter the {p} that I got from you worked without any trouble.",
    "I read the help page about this for {n} hours and it did not explain my case.",
    "The clerk in {c} wrote something on a slip and stamped it {n} times.",
    "My children used it for a school project that had to be ready on {w}.",
    "I would also like to know whether the {p} comes back into stock on {w}.",
    "Somebody at the counter promised me a voucher worth {n} coffees.",
    "The elevator in our house is out of order, we live on floor {n}.",
)
_VALIDATION_EN = (
    "Grandmother lives {n} streets away and may accept things for us on {w}.",
    "A colleague from {c} had exactly this trouble {n} months ago.",
    "Our office moves on {w}, after that we are reachable at the new place.",
    "On your website the page about it loads for {n} seconds and stays white.",
    "The garden club meets every {w} and we wanted to show it there.",
    "I wrote {n} letters about it and got one printed answer.",
    "Between {c} and here the road was closed because of snow.",
    "The band rehearses on {w} and needs all {n} pieces.",
    "My cat slept in the carton for {n} nights before I noticed anything.",
    "Somehow your newsletter reached me {n} times this {w}.",
)
_TEST_EN = (
    "Since {w} my brother asks about it every evening at dinner.",
    "Our club of {n} members pooled the money and I answer for it.",
    "The salesman at the fair in {c} praised it for {n} minutes without a pause.",
    "Nothing like that happened with the {n} things I got from you earlier.",
    "On {w} a technician came by, shrugged, and left for {c} again.",
    "I filled in the long form on your page, question {n} makes no sense to me.",
    "The caretaker keeps a list of all visitors and saw nobody on {w}.",
    "My trip to {c} starts soon, {n} bags are already packed.",
    "A video on the web with {n} viewers shows the very same story.",
    "The guide says to wait {n} minutes, which I did on {w} with a stopwatch.",
    "Our dog barks at everybody, so we would have heard a ring on {w}.",
    "The teacher of my son would like to borrow the {p} for {n} lessons.",
    "There was a note from {c} in it that was surely meant for another person.",
    "I moved the shelf, swept the floor and searched {n} rooms for the papers.",
)
_TRAIN_ZH = (
    "我在{c}的邻居上{w}也买了同款，用到现在没有任何抱怨。",
    "{w}我打了{n}次热线，一直没有人接听电话。",
    "盒子里的说明书印的是家里谁也看不懂的文字。",
    "我们打算{w}请{n}位客人来聚会，本想那时候就能用上。",
    "姐姐春天从{c}旅行回来以后向我推荐了你们的店。",
    "页面照片上有{n}个配件，我{w}数了数却少了几个。",
    "我做你们的顾客已经{n}年，以前从来没有写信投诉过。",
    "{c}的门店{w}告诉我说只有你们这里能够处理。",
    "整个星期天气都很差，我一直守在家里窗户旁边等着。",
    "请注意我{w}要去{c}出差，大概{n}天以后才会回来。",
    "会修东西的朋友看了{n}分钟，最后也只好放弃了。",
    "聊天机器人把同一个问题问了我{n}遍，然后就关掉了窗口。",
    "下单以前我比较过另外{n}家商店，因为评价好才选了你们。",
    "家里旧的{p}用了整整{n}年，所以我才相信这个牌子。",
    "{w}来的邮递员很客气，可是对这件事情一无所知。",
    "这本来是送给舅舅的生日礼物，他住在{c}附近。",
    "所有的单据、纸箱和{n}个塑料袋我都还放在地下室里。",
    "你们{w}发来的上一条消息没有文字，只有一张猫的图片。",
    "这套房子住着{n}个人，所以门口随时都有人应门。",
    "去年冬天从你们这里买的{p}用起来没有任何毛病。",
    "帮助页面我读了{n}个小时，里面并没有说明我这种情况。",
    "{c}的办事员在纸条上写了几笔，又盖了{n}个章。",
    "孩子们要拿它去做学校的手工作业，{w}之前必须完成。",
    "另外我还想知道{p}{w}会不会重新到货上架。",
    "柜台上有人答应送我一张可以换{n}杯咖啡的券。",
    "我们这栋楼的电梯坏了，家住在第{n}层楼上。",
)
_VALIDATION_ZH = (
    "奶奶家离这里隔着{n}条街，{w}可以替我们签收。",
    "{c}的同事{n}个月以前碰到过一模一样的麻烦。",
    "我们办公室{w}搬家，之后请到新的地方找我们。",
    "官网上那一页要转{n}秒钟，最后还是一片空白。",
    "园艺小组每{w}活动，我们本来想带去展示一下。",
    "为了这件事我写过{n}封信，只收到一张打印的回条。",
    "从{c}过来的公路因为下大雪已经封闭了。",
    "乐队{w}要排练，{n}件东西一样都不能缺。",
    "我家猫在纸箱里睡了{n}个晚上我才发现不对劲。",
    "不知为什么这个{w}我收到了{n}遍你们的通讯。",
)
_TEST_ZH = (
    "从{w}开始弟弟每天吃晚饭都要问起这件事情。",
    "我们社团{n}个成员凑了钱，由我一个人负责到底。",
    "{c}展会上的推销员一口气夸了它{n}分钟。",
    "先前从你们那儿拿的{n}样东西都没出过这种事。",
    "{w}来过一位师傅，耸耸肩膀又回{c}去了。",
    "网页上很长的那张表我填好了，第{n}题看不明白。",
    "看门的大爷记着所有来客，{w}谁也没有见到。",
    "我马上动身前往{c}，{n}个包都已经收拾好了。",
    "网上有个{n}人看过的视频讲的就是同一回事。",
    "指南说等{n}分钟，{w}我拿着秒表照做了一遍。",
    "我们家的狗见谁都叫，{w}有人按铃不会听不见。",
    "儿子的老师想借{p}去上{n}节课。",
    "里面夹着一张{c}寄出的便条，明显是写给别人的。",
    "我挪开柜子扫了地，把{n}间屋子都找了一遍单据。",
)

STORIES: Mapping[str, Mapping[str, tuple[str, ...]]] = {
    "en": {"train": _TRAIN_EN, "validation": _VALIDATION_EN, "test": _TEST_EN},
    "zh": {"train": _TRAIN_ZH, "validation": _VALIDATION_ZH, "test": _TEST_ZH},
}
