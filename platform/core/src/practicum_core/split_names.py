"""The split that the name of a file, a folder or a data set's part stands for."""

from __future__ import annotations

import re
from collections.abc import Iterable, Mapping

SPLIT_WORDS: Mapping[str, str] = {
    "train": "train",
    "training": "train",
    "trainset": "train",
    "validation": "validation",
    "valid": "validation",
    "val": "validation",
    "dev": "validation",
    "eval": "validation",
    "evaluation": "validation",
    "devset": "validation",
    "valset": "validation",
    "test": "test",
    "testing": "test",
    "testset": "test",
    "fresh": "fresh",
    "control": "control",
}
"""Words of names, to the split; in the order in which splits are read."""
ORDER = tuple(dict.fromkeys(SPLIT_WORDS.values()))

_WORD = re.compile(r"[A-Z]?[a-z]+|[A-Z]+(?![a-z])")


def find_splits(names: Iterable[str]) -> set[str]:
    """Return the splits that the words of some names say; ``trainData`` is two words, ``latest`` is one.

    >>> find_splits(["belle_train"]), find_splits(["json-test"]), find_splits(["latest"]), find_splits(["trainData"])
    ({'train'}, {'test'}, set(), {'train'})
    """
    words = [word.lower() for name in names for word in _WORD.findall(name)]
    return {SPLIT_WORDS[word] for word in words if word in SPLIT_WORDS}


def get_rank(split: str) -> int:
    """Return a split's place in the order of reading; unknown ones come last."""
    return ORDER.index(split) if split in ORDER else len(ORDER)
