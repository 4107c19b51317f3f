"""A random model in Qwen2's shape with a tokenizer of bytes, and what the GPU bench must know of it and the machine."""

from __future__ import annotations

from pathlib import Path

import torch
import transformers
from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
from trl.trainer.utils import compute_flops_per_token, get_peak_flops

SIZES = {
    "half-billion": {  # Qwen2.5-0.5B's config.json
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
    "tiny": {
        "vocab_size": 512,
        "hidden_size": 64,
        "intermediate_size": 128,
        "num_hidden_layers": 2,
        "num_attention_heads": 4,
        "num_key_value_heads": 2,
    },
}
CHAT_TEMPLATE = (
    "{% for message in messages %}{{ '<|im_start|>' + message['role'] + '\n' + message['content'] + '<|im_end|>\n' }}"
    "{% endfor %}{% if add_generation_prompt %}{{ '<|im_start|>assistant\n' }}{% endif %}"
)


def describe_machine(config: transformers.Qwen2Config) -> dict:
    """Return device and versions, and the operations of a forward pass through the model's parts."""
    has_gpu = torch.cuda.is_available()
    forward_flops = compute_flops_per_token(config, seq_len=0) / 3  # TRL counts the backward pass as two forward ones
    head_flops = 2 * config.vocab_size * config.hidden_size
    return {
        "device": torch.cuda.get_device_name() if has_gpu else "cpu",
        "peak_flops": get_peak_flops(torch.cuda.get_device_name(), "bfloat16") if has_gpu else None,
        "layer_flops": forward_flops - head_flops,
        "head_flops": head_flops,
        # Causal: a token attends to half of its row on average, with a product for the scores and one for the values.
        "attention_flops_per_length": 2 * config.hidden_size * config.num_hidden_layers,
        "versions": {module.__name__: module.__version__ for module in (torch, transformers)},
    }


def build_model(size: str, folder: Path) -> transformers.Qwen2Config:
    """Write the model's folder in bfloat16 and return its configuration."""
    transformers.utils.logging.disable_progress_bar()
    tokenizer = build_tokenizer()
    ids = {"bos_token_id": 1, "eos_token_id": 2, "pad_token_id": 0}
    config = transformers.Qwen2Config(**SIZES[size], tie_word_embeddings=True, max_position_embeddings=4096, **ids)
    torch.manual_seed(0)
    with torch.device("cuda" if torch.cuda.is_available() else "cpu"):
        model = transformers.Qwen2ForCausalLM(config)
    model.generation_config = transformers.GenerationConfig(**ids)
    model.to(torch.bfloat16).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return config


def build_tokenizer() -> transformers.PreTrainedTokenizerFast:
    """One token a byte, so that rows are some hundred tokens long, and ChatML's markers."""
    markers = ["<|endoftext|>", "<|im_start|>", "<|im_end|>"]
    letters = markers + sorted(pre_tokenizers.ByteLevel.alphabet())
    raw = Tokenizer(models.BPE(vocab={letter: at for at, letter in enumerate(letters)}, merges=[]))
    raw.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    raw.decoder = decoders.ByteLevel()
    raw.add_special_tokens([AddedToken(marker, special=True) for marker in markers])
    tokenizer = transformers.PreTrainedTokenizerFast(
        tokenizer_object=raw, bos_token=markers[1], eos_token=markers[2], pad_token=markers[0]
    )
    tokenizer.chat_template = CHAT_TEMPLATE
    return tokenizer
