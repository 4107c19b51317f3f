"""The tokens that end an answer, read from a model folder without loading the model."""

from __future__ import annotations

from pathlib import Path

from practicum_jobs.models.json_files import read_object
from practicum_jobs.models.tokens import ChatTokenizer, read_special_tokens


def read_stop_ids(folder: Path, tokenizer: ChatTokenizer) -> frozenset[int]:
    """Return the stop tokens of the generation configuration, else of the model's, and the tokenizer's own end."""
    file = folder / "generation_config.json"
    found = (read_object(file) if file.is_file() else {}).get("eos_token_id")
    if found is None:
        found = read_object(folder / "config.json").get("eos_token_id")
    ids = found if isinstance(found, list) else [found]
    end = read_special_tokens(folder).get("eos_token", "")
    own = tokenizer.encode(end) if end else []
    return frozenset(int(token) for token in (*ids, *(own if len(own) == 1 else ())) if token is not None)
