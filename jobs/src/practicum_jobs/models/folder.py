"""What a model folder must hold, and its description by content. Reads headers and hashes; never loads weights."""

from __future__ import annotations

import hashlib
from pathlib import Path

from practicum_core.content_hash import hash_path
from practicum_core.errors import ConfigError, Reason
from practicum_core.stages.model import ModelFile, ModelLock
from practicum_jobs.models.json_files import read_object
from practicum_jobs.models.loading import find_config_problems, find_embedding_shape, find_size_problems
from practicum_jobs.models.tokens import ChatTokenizer, read_chat_template
from practicum_jobs.models.weights import count_parameters, find_weight_problems

ADAPTER_CONFIG = "adapter_config.json"
_SLOW_TOKENIZERS = ("tokenizer.model", "spiece.model", "vocab.json", "vocab.txt")
_MISSING = Reason.MODEL_MISSING
_LOCKED_SUFFIXES = frozenset({".json", ".safetensors", ".jinja", ".model", ".txt"})


def is_adapter(folder: Path) -> bool:
    """Whether the folder holds a PEFT adapter and not a whole model."""
    return (folder / ADAPTER_CONFIG).is_file()


def check_model_folder(folder: Path, uri: str, *, has_weights: bool = True) -> None:
    """Check that every stage can load a folder: configuration, whole weights, tokenizer, chat template.

    Args:
        folder: Where the model lies.
        uri: As it was asked for.
        has_weights: Whether the weights will be loaded; without, tokenizer and chat template are enough.

    Raises:
        ConfigError: Something is missing, cut off or of a kind that is not loaded; all of it is named in one message.
    """
    if not folder.is_dir():
        raise ConfigError(f"{uri}: {folder} is not a folder", "name the folder that holds config.json", _MISSING)
    if is_adapter(folder) and not (folder / "config.json").is_file():
        raise ConfigError(
            f"{uri}: {folder} holds an adapter, not a whole model", "name its base model, or merge it first", _MISSING
        )
    problems = [*_find_weight_and_config_problems(folder)] if has_weights else []
    problems += _find_tokenizer_problems(folder)
    if problems:
        raise ConfigError(
            f"{uri}: {folder} is not a chat model's folder that can be loaded: {'; '.join(problems)}",
            "name an instruction-tuned model saved with save_pretrained(), tokenizer included; if it is one, fetch it"
            " again, whole",
            _MISSING,
        )


def check_vocabulary(folder: Path, uri: str) -> None:
    """Open tokenizer and chat template, and check that the model has an embedding for each token.

    Tokens that were added to the vocabulary are left out: Gemma 3 has one that its text models never see.

    Raises:
        ConfigError: One cannot be read, or the tokenizer is of another model.
    """
    num_tokens = ChatTokenizer(folder).num_base_tokens
    embedding = find_embedding_shape(find_weight_problems(folder)[1])
    if embedding is not None and num_tokens > embedding[0]:
        raise ConfigError(
            f"{uri}: {folder / 'tokenizer.json'} has {num_tokens:,} tokens, and the model has embeddings for"
            f" {embedding[0]:,}: it is another model's tokenizer",
            "put the tokenizer of this model into its folder, or fetch the model again",
            _MISSING,
        )


def _find_weight_and_config_problems(folder: Path) -> list[str]:
    problems, tensors = find_weight_problems(folder)
    try:
        config = read_object(folder / "config.json")
    except ConfigError as error:
        return [_shorten(error, folder), *problems]
    problems = [*find_config_problems(config), *problems]
    return problems or find_size_problems(config, tensors)


def _find_tokenizer_problems(folder: Path) -> list[str]:
    if not (folder / "tokenizer.json").is_file():
        slow = next((name for name in _SLOW_TOKENIZERS if (folder / name).is_file()), None)
        hint = f" ({slow} alone is not read: load it with AutoTokenizer and save it again)" if slow else ""
        return [f"no tokenizer.json{hint}"]
    try:
        template = read_chat_template(folder)
    except ConfigError as error:
        return [_shorten(error, folder)]
    return [] if template else ["no chat template (chat_template.jinja, or chat_template in tokenizer_config.json)"]


def _shorten(error: ConfigError, folder: Path) -> str:
    return error.detail.removeprefix(f"{folder}/")


def build_model_lock(folder: Path, uri: str, revision: str) -> ModelLock:
    """Hash every file that decides what a model says, and describe the model (about 1 s per GB)."""
    names = sorted(file.name for file in folder.iterdir() if file.suffix in _LOCKED_SUFFIXES)
    files = [
        ModelFile(path=name, sha256=hash_path(folder / name), size_bytes=(folder / name).stat().st_size)
        for name in names
    ]
    lines = "".join(f"{file.sha256}  {file.path}\n" for file in files)
    return ModelLock(
        uri=uri,
        revision=revision,
        family=read_family(folder),
        num_parameters=sum(count_parameters(folder / name) for name in names if name.endswith(".safetensors")),
        tokenizer_sha256=hash_path(folder / "tokenizer.json"),
        chat_template_sha256=hashlib.sha256(read_chat_template(folder).encode()).hexdigest(),
        sha256=hashlib.sha256(lines.encode()).hexdigest(),
        files=files,
    )


def read_family(folder: Path) -> str:
    """Return ``model_type`` of config.json, such as ``llama``; empty where there is none."""
    return str(read_object(folder / "config.json").get("model_type", ""))
