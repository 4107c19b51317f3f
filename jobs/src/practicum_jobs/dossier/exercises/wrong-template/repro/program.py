"""The platform's check of a chat template against the vocabulary of the model, for the rows and options here."""

from __future__ import annotations

import json
from pathlib import Path

import yaml
from tokenizers import Tokenizer, models, pre_tokenizers

from practicum_jobs.models.tokens import ChatTokenizer
from practicum_jobs.training.memory import ModelShape
from practicum_jobs.training.preflight import ModelFacts, check_template

MARKERS = ["<|im_start|>", "<|im_end|>"]


def make_model(folder: Path, template: str) -> tuple[ChatTokenizer, ModelFacts]:
    """Make a model folder with the markers of ChatML and a chat template."""
    folder.mkdir(exist_ok=True)
    tokenizer = Tokenizer(models.WordLevel({name: at for at, name in enumerate([*MARKERS, "[UNK]"])}, "[UNK]"))
    tokenizer.pre_tokenizer = pre_tokenizers.WhitespaceSplit()
    tokenizer.add_special_tokens(MARKERS)
    tokenizer.save(str(folder / "tokenizer.json"))
    (folder / "chat_template.jinja").write_text(template)
    shape = ModelShape(1000, hidden=8, intermediate=16, layers=1, heads=1, vocab=3)
    ids = {name: tokenizer.token_to_id(name) for name in MARKERS}
    return ChatTokenizer(folder), ModelFacts("chatml", shape, ids, frozenset({ids["<|im_end|>"]}))


def find_problem(config: dict, questions: list[str]) -> str | None:
    tokenizer, facts = make_model(Path("tokenizer"), Path(config["template"]).read_text())
    for question in questions:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": ""}]
        problem = check_template(tokenizer.render(turns, add_generation_prompt=False), facts)
        if problem:
            return problem
    return None


if __name__ == "__main__":
    rows = [json.loads(line)["question"] for line in Path("rows.jsonl").read_text().splitlines()]
    problem = find_problem(yaml.safe_load(Path("config.yaml").read_text()), rows)
    if problem:
        raise ValueError(problem)
