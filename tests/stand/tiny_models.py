"""Tiny models for engines, which compute with few sizes of attention heads."""

from __future__ import annotations

import shutil
from pathlib import Path


def make_model(source: Path, folder: Path, seed: int) -> Path:
    """Copy the tiny model in sizes that vLLM's attention computes, with weights that make it say something."""
    import torch  # noqa: PLC0415 - only tests of engines wait for torch
    import transformers  # noqa: PLC0415 - as above

    shutil.copytree(source, folder)
    config = transformers.AutoConfig.from_pretrained(folder)
    config.update({"hidden_size": 256, "intermediate_size": 512, "head_dim": 64})
    with torch.random.fork_rng():
        torch.manual_seed(seed)
        model = transformers.LlamaForCausalLM(config)
        for parameter in model.parameters():
            if parameter.dim() > 1:
                torch.nn.init.normal_(parameter, 0, 0.2)
    model.generation_config = transformers.GenerationConfig.from_pretrained(source)
    model.save_pretrained(folder)
    return folder
