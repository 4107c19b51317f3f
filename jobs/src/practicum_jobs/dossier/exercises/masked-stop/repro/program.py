"""The labels of training rows, looked at before training: does every answer teach the model to stop?"""

from __future__ import annotations

import json
from pathlib import Path

from tokenizers import Tokenizer, models, pre_tokenizers

from practicum_core.rows import Row
from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.training.encoding import EncodedRow, encode_rows

STOP = "<|im_end|>"
MARKERS = ["<|im_start|>", STOP]


def read_rows() -> list[Row]:
    return [
        Row(id=line["id"], messages=[{"role": "user", "content": line["question"]}], answer=line["answer"])
        for line in map(json.loads, Path("rows.jsonl").read_text().splitlines())
    ]


def write_tokenizer(folder: Path, rows: list[Row]) -> ChatTokenizer:
    """Make a model folder whose tokens are words, with the template of ChatML."""
    folder.mkdir(exist_ok=True)
    words = {word for row in rows for text in (row.user_text, row.answer) for word in text.split()}
    names = [*MARKERS, "[UNK]", "user", "assistant", "\n", *sorted(words)]
    tokenizer = Tokenizer(models.WordLevel({name: at for at, name in enumerate(dict.fromkeys(names))}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(MARKERS)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "tokenizer_config.json").write_text(json.dumps({"eos_token": STOP}))
    (folder / "chat_template.jinja").write_text(Path("chat_template.jinja").read_text())
    return ChatTokenizer(folder)


def encode(rows: list[Row]) -> tuple[list[EncodedRow], int]:
    """Return the encoded rows and the id of the token that ends an answer."""
    tokenizer = write_tokenizer(Path("tokenizer"), rows)
    return encode_rows(rows, tokenizer, max_length=256), tokenizer.encode(STOP)[0]


if __name__ == "__main__":
    encoded, stop = encode(read_rows())
    if any(stop not in row.tokens.labels for row in encoded):
        raise AssertionError("no stop token counts in the loss")
