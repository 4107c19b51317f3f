"""The bare script that the benches measure beside the project: TRL and PEFT as their documentation shows them.

python bare_trl.py SETTINGS.json RESULT.json
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

import datasets
import peft
import torch
import transformers
import trl


class Clock(transformers.TrainerCallback):
    """Measures what the project's own stage measures: start of training, seconds inside steps, when each was logged."""

    def __init__(self) -> None:
        self.began_at_s = 0.0
        self.step_began_s = 0.0
        self.step_s = 0.0
        self.logged_at_s: list[float] = []

    def on_train_begin(self, *_args, **_kwargs) -> None:
        self.began_at_s = time.time()

    def on_step_begin(self, *_args, **_kwargs) -> None:
        self.step_began_s = time.monotonic()

    def on_step_end(self, *_args, **_kwargs) -> None:
        self.step_s += time.monotonic() - self.step_began_s

    def on_log(self, *_args, logs: dict, **_kwargs) -> None:
        if "loss" in logs:
            self.logged_at_s.append(time.time())


def train(settings: dict) -> dict:
    transformers.utils.logging.disable_progress_bar()
    datasets.utils.logging.disable_progress_bar()
    clock = Clock()
    # The same numbers as the project uses: frozen weights in bfloat16 on a GPU, trained ones in float32.
    has_gpu, is_full = torch.cuda.is_available(), settings["method"] == "full"
    dtype = torch.bfloat16 if has_gpu and not is_full else torch.float32
    is_preference = "beta" in settings
    trainer = (trl.DPOTrainer if is_preference else trl.SFTTrainer)(
        model=settings["model"],
        args=(trl.DPOConfig if is_preference else trl.SFTConfig)(
            output_dir=settings["output_dir"],
            seed=settings["seed"],
            max_steps=settings["max_steps"],
            per_device_train_batch_size=settings["batch_size"],
            learning_rate=settings["learning_rate"],
            lr_scheduler_type="cosine",
            max_length=settings["max_length"],
            logging_steps=1,
            save_strategy="no",
            gradient_checkpointing=False,
            model_init_kwargs={"dtype": dtype},
            bf16=has_gpu,
            use_cpu=not has_gpu,
            report_to="none",
            disable_tqdm=True,
            **({"beta": settings["beta"]} if is_preference else {}),
        ),
        train_dataset=datasets.Dataset.from_list(settings["rows"]),
        processing_class=transformers.AutoTokenizer.from_pretrained(settings["model"]),
        peft_config=None
        if is_full
        else peft.LoraConfig(
            r=settings["lora_r"], lora_alpha=settings["lora_alpha"], target_modules="all-linear", task_type="CAUSAL_LM"
        ),
        callbacks=[clock],
    )
    trainer.train()
    logged = [line for line in trainer.state.log_history if "loss" in line]
    return {
        "began_at_s": clock.began_at_s,
        "step_s": clock.step_s,
        "num_tokens": logged[-1]["num_tokens"],
        "losses": [line["loss"] for line in logged],
        "logged_at_s": clock.logged_at_s,
        "logged_tokens": [line["num_tokens"] for line in logged],
    }


if __name__ == "__main__":
    result = train(json.loads(Path(sys.argv[1]).read_text()))
    Path(sys.argv[2]).write_text(json.dumps(result))
