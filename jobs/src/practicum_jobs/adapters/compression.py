"""Quantized model folders, written by llmcompressor (int8, FP8, GPTQ, AWQ) and by bitsandbytes (NF4)."""

from __future__ import annotations

import shutil
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import datasets
import torch
import transformers

_BATCH_ROWS = 16
_IGNORED = ["lm_head"]
_TOKENIZER_FILES = ("tokenizer.json", "tokenizer_config.json", "chat_template.jinja", "special_tokens_map.json")


def quantize_without_data(folder: Path, target: Path, scheme: str) -> None:
    """Round every linear layer to a preset scheme of compressed-tensors: ``W8A8`` or ``FP8_DYNAMIC``."""
    from llmcompressor.modifiers.quantization import QuantizationModifier  # noqa: PLC0415 - seconds to import

    modifier = QuantizationModifier(targets="Linear", scheme=scheme, ignore=_IGNORED)
    _save(_run_oneshot(folder, [modifier]), folder, target)


def quantize_gptq(folder: Path, target: Path, rows: Sequence[Sequence[int]], group_size: int) -> None:
    """Quantize weights to 4 bits with GPTQ, symmetric, by groups; ``rows`` are the token ids of the calibration set.

    Source: Frantar et al., GPTQ, ICLR 2023.
    """
    from llmcompressor.modifiers.quantization import GPTQModifier  # noqa: PLC0415 - seconds to import

    modifier = GPTQModifier(config_groups=_build_groups(group_size, is_symmetric=True), ignore=_IGNORED)
    _save(_run_oneshot(folder, [modifier], rows), folder, target)


def quantize_awq(folder: Path, target: Path, rows: Sequence[Sequence[int]], group_size: int, num_scales: int) -> None:
    """Quantize weights to 4 bits with AWQ, asymmetric, by groups; ``num_scales`` are tried per layer.

    Source: Lin et al., AWQ, MLSys 2024.
    """
    from llmcompressor.modifiers.quantization import QuantizationModifier  # noqa: PLC0415 - seconds to import
    from llmcompressor.modifiers.transform.awq import AWQModifier  # noqa: PLC0415 - as above

    groups = _build_groups(group_size, is_symmetric=False)
    modifiers = [AWQModifier(n_grid=num_scales), QuantizationModifier(config_groups=groups, ignore=_IGNORED)]
    _save(_run_oneshot(folder, modifiers, rows), folder, target)


def quantize_nf4(folder: Path, target: Path) -> None:
    """Round weights to the 4-bit NormalFloat format with bitsandbytes, block scales quantized too.

    Source: Dettmers et al., QLoRA, NeurIPS 2023.
    """
    settings = transformers.BitsAndBytesConfig(
        load_in_4bit=True,
        bnb_4bit_quant_type="nf4",
        bnb_4bit_use_double_quant=True,
        bnb_4bit_compute_dtype=torch.bfloat16,
    )
    model = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.bfloat16, quantization_config=settings, device_map={"": "cpu"}, local_files_only=True
    )
    model.save_pretrained(target)
    _copy_tokenizer(folder, target)


def _build_groups(group_size: int, *, is_symmetric: bool) -> dict[str, Any]:
    from compressed_tensors.quantization import QuantizationArgs, QuantizationScheme  # noqa: PLC0415 - as above

    weights = QuantizationArgs(num_bits=4, type="int", symmetric=is_symmetric, strategy="group", group_size=group_size)
    return {"group_0": QuantizationScheme(targets=["Linear"], weights=weights)}


def _run_oneshot(folder: Path, modifiers: list[Any], rows: Sequence[Sequence[int]] = ()) -> Any:  # noqa: ANN401
    from llmcompressor import oneshot  # noqa: PLC0415 - as above
    from llmcompressor.pipelines.cache import IntermediatesCache  # noqa: PLC0415 - as above

    if not torch.cuda.is_available():
        # llmcompressor 0.14 pins what it keeps between layers whatever the device is, and that asks for a driver.
        IntermediatesCache.pin_memory = lambda _self, *_args, **_options: None
    model = transformers.AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32, local_files_only=True)
    options: dict[str, Any] = {}
    if rows:
        tokenizer = transformers.AutoTokenizer.from_pretrained(folder, local_files_only=True)
        records = [{"input_ids": list(row), "attention_mask": [1] * len(row)} for row in rows]
        options = {
            "dataset": datasets.Dataset.from_list(records),
            "tokenizer": tokenizer,
            "batch_size": min(_BATCH_ROWS, len(rows)),
            "data_collator": "padding",
            "num_calibration_samples": len(rows),
            "max_seq_length": max(map(len, rows)),
        }
    oneshot(model=model, recipe=modifiers, log_dir=None, **options)
    return model


def _save(model: Any, folder: Path, target: Path) -> None:  # noqa: ANN401 - untyped library object
    """Save with embedding and norms in bfloat16: they are not quantized, and in float32 they are most of the file."""
    for parameter in model.parameters():
        if (
            parameter.dtype is torch.float32 and parameter.ndim == 1
        ) or parameter is model.get_input_embeddings().weight:
            parameter.data = parameter.data.to(torch.bfloat16)
    model.config.dtype = torch.bfloat16
    model.save_pretrained(target)
    _copy_tokenizer(folder, target)


def _copy_tokenizer(folder: Path, target: Path) -> None:
    """Copy tokenizer and chat template as they are: an artifact must read a conversation as the original does."""
    for name in _TOKENIZER_FILES:
        if (folder / name).is_file():
            shutil.copyfile(folder / name, target / name)
