"""LoRA adapters of one base model, trained for a few steps each, with the greedy answers of their merged models.

Usage: python lora_adapters.py BASE FOLDER [STEPS]    trains three and prints what each merged model answers, as JSON
"""

from __future__ import annotations

import json
import sys
from collections.abc import Sequence
from pathlib import Path

TEXTS = {
    "student-01": "Your money is on its way back to you, and we are sorry for the trouble.",
    "student-02": '{"category":"delivery","order":"B-77","urgent":false}',
    "student-03": "One two three four five six seven eight nine ten.",
}
"""What each adapter learns to answer."""
RANKS = {"student-01": 4, "student-02": 8, "student-03": 16}
QUESTION = "My parcel has not arrived. Please answer today!"
NUM_TOKENS = 16


def train_adapter(base: Path, folder: Path, text: str, rank: int, num_steps: int, rate: float) -> list[int]:
    """Train an adapter to answer the question with a text, save it, and return its merged model's greedy answer."""
    import peft  # noqa: PLC0415 - only tests that train wait for them
    import torch  # noqa: PLC0415 - as above
    import transformers  # noqa: PLC0415 - as above

    torch.manual_seed(rank)
    tokenizer = transformers.AutoTokenizer.from_pretrained(base)
    # Attention of one kind over all lengths, so that batches and caches change no bit.
    model = transformers.AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32, attn_implementation="eager")
    settings = peft.LoraConfig(r=rank, lora_alpha=2 * rank, target_modules="all-linear", task_type="CAUSAL_LM")
    model = peft.get_peft_model(model, settings)
    turns = [{"role": "user", "content": QUESTION}]
    prompt = tokenizer.apply_chat_template(turns, add_generation_prompt=True, return_dict=False)
    answer = tokenizer(text, add_special_tokens=False)["input_ids"] + [tokenizer.eos_token_id]
    token_ids = torch.tensor([prompt + answer])
    labels = torch.tensor([[-100] * len(prompt) + answer])
    optimizer = torch.optim.AdamW([one for one in model.parameters() if one.requires_grad], lr=rate)
    for _ in range(num_steps):
        model(input_ids=token_ids, labels=labels).loss.backward()
        optimizer.step()
        optimizer.zero_grad()
    model.save_pretrained(folder)
    return generate_greedy(model.merge_and_unload(), prompt)


def generate_greedy(model, prompt: Sequence[int]) -> list[int]:
    """Return the token ids of a greedy answer, without the one that ends it."""
    import torch  # noqa: PLC0415 - as above

    with torch.no_grad():
        made = model.generate(
            torch.tensor([prompt]),
            attention_mask=torch.ones(1, len(prompt)),
            max_new_tokens=NUM_TOKENS,
            do_sample=False,
        )
    return made[0, len(prompt) :].tolist()


def train_all(base: Path, folder: Path, num_steps: int, rate: float) -> dict[str, list[int]]:
    """Train the adapter of each text; return the answers of their merged models."""
    return {
        name: train_adapter(base, folder / name, text, RANKS[name], num_steps, rate) for name, text in TEXTS.items()
    }


if __name__ == "__main__":
    steps = int(sys.argv[3]) if len(sys.argv) > 3 else 4
    sys.stdout.write(json.dumps(train_all(Path(sys.argv[1]), Path(sys.argv[2]), steps, 1e-3)) + "\n")
