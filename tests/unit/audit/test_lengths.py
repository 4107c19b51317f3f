"""Lengths by parts are the lengths of the whole, for every family of tokenizer that is cut, and for one that is not."""

import json

import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st
from tokenizers import Regex, Tokenizer, decoders, models, normalizers, pre_tokenizers, trainers

from practicum_jobs.audit.content import Content
from practicum_jobs.audit.lengths import LengthCounter

CL100K = (
    r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}{1,3}"
    r"| ?[^\s\p{L}\p{N}]+[\r\n]*|\s*[\r\n]+|\s+(?!\S)|\s+"
)
QWEN2 = CL100K.replace(r"\p{N}{1,3}", r"\p{N}")
TEMPLATE = (
    "{% for message in messages %}{{'<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n'}}"
    "{% endfor %}"
)
CORPUS = [
    'Reply with JSON: {"category":"refund","order":"TK-945747","amount":183.06,"urgent":true}',
    "My order didn't arrive, it's late.  Two  spaces;\n\nand lines\n- like this 12,345.67!",
    "订单TK-945747的头盔迟迟不到，快递说弄丢了。价格是183.06元。请今天就处理！（谢谢）“好的”：是吗？",
    "I'll say 'hello' to you're 's 't and 100% of users @home #tag $5.",
]


def byte_level(*, use_regex=True):
    return pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=use_regex)


def split(pattern):
    return pre_tokenizers.Sequence(
        [pre_tokenizers.Split(Regex(pattern), behavior="isolated"), byte_level(use_regex=False)]
    )


FAMILIES = {
    "gpt2": (None, byte_level()),
    "smollm2": (None, pre_tokenizers.Sequence([pre_tokenizers.Digits(individual_digits=True), byte_level()])),
    "cl100k": (None, split(CL100K)),
    "qwen2": (normalizers.NFC(), split(QWEN2)),
    "metaspace": (normalizers.NFKC(), pre_tokenizers.Metaspace()),
}


@pytest.fixture(scope="module", params=FAMILIES)
def counter(request, tmp_path_factory):
    normalizer, pre_tokenizer = FAMILIES[request.param]
    raw = Tokenizer(models.BPE(unk_token=None))
    if normalizer is not None:
        raw.normalizer = normalizer
    raw.pre_tokenizer = pre_tokenizer
    raw.decoder = decoders.ByteLevel()
    trainer = trainers.BpeTrainer(
        vocab_size=900,
        special_tokens=["<|im_start|>", "<|im_end|>"],
        initial_alphabet=sorted(pre_tokenizers.ByteLevel.alphabet()),
        show_progress=False,
        min_frequency=1,
    )
    raw.train_from_iterator(CORPUS * 3, trainer)
    folder = tmp_path_factory.mktemp(request.param)
    raw.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"chat_template": TEMPLATE}))
    return LengthCounter(folder)


PIECES = st.sampled_from(
    [
        *"aZéß09５²½ \n\t\r'\"，。！：、（“”-.,{}[]@#<|>中文订单的\u3000\u0301",
        "  ",
        "\n\n",
        " \n",
        "'s",
        "'ll",
        "TK-",
        "12.5",
        "<|im_end|>",
        "不到",
        "don't",
    ]
)


@settings(max_examples=250, deadline=None)
@given(pieces=st.lists(PIECES, max_size=40))
@example(pieces=["，", "，", "中", "”", "，", "a", "，", "5", "，", " ", "，", "x"])
@example(pieces=[".", "\n", "a", " ", " ", "1", " ", "\n", "2", "a", "\n", "1", ",", "\n"])
def test_a_text_counts_as_its_parts(counter, pieces):
    text = "".join(pieces)
    assert counter.count_texts([text, f"a {text} b"]) == counter._tokenizer.count_tokens([text, f"a {text} b"])


def test_conversations_count_as_training_renders_them(counter):
    rows = [Content((("user", text),), "ok 12", None) for text in CORPUS]
    rendered = [counter._tokenizer.render(row.build_conversation(), add_generation_prompt=False) for row in rows]
    assert counter.count_conversations(rows) == (counter._tokenizer.count_tokens(rendered), [], [])
    assert counter.count_conversations(rows) == counter.count_conversations(rows)
