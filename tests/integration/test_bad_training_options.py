"""Options at their edges and models of other families: each trains or is refused in one sentence, never as Internal.

``PRACTICUM_FUZZ_CONFIGS=300`` tries that many combinations of options instead of the few that fit into the suite.
"""

from __future__ import annotations

import itertools
import json
import os
from typing import Literal, get_args, get_origin

import pytest
from hypothesis import HealthCheck, Phase, given, settings
from hypothesis import strategies as st
from pydantic import ValidationError

from practicum_core.errors import ConfigError, PracticumError, Reason
from practicum_core.rows import Message, Row
from practicum_core.stages import get_stage
from practicum_core.stages.dpo import DpoConfig
from practicum_core.stages.sft import SftConfig
from practicum_jobs import dpo, sft
from training_stand import MARKS, write_run

pytestmark = [
    *MARKS,
    # PEFT sets fan_in_fan_out right by itself for GPT-2's Conv1D, and finds no experts in a mixture of dense layers
    pytest.mark.filterwarnings("ignore::UserWarning:peft.*"),
    pytest.mark.filterwarnings("ignore::RuntimeWarning:peft.*"),
]

NUM_CONFIGS = int(os.environ.get("PRACTICUM_FUZZ_CONFIGS", "8"))
PROFILE = settings(
    max_examples=NUM_CONFIGS,
    deadline=None,
    suppress_health_check=list(HealthCheck),
    phases=[Phase.generate],
    derandomize=NUM_CONFIGS == 8,
    database=None,
)
SMALL = {"max_steps": 2, "eval_steps": 1, "save_steps": 1, "num_sample_prompts": 1, "sample_max_new_tokens": 2}
LONG = frozenset({"max_steps", "num_epochs", "num_workers", "model"})
"""Options whose edges cost hours, a session of Ray, or another model."""
NUMBERS = (0, 1, 2, 3, 17, 1000, 2**31, 2**53, 2**63, 10**30)
FRACTIONS = (5e-324, 1e-12, 0.5, 1 - 1e-16, 1.0, 1.5, 1e12, 1.7e308)
RUNS = itertools.count()


def make_rows(count, prefix):
    return [
        Row(
            id=f"{prefix}{number}",
            messages=[Message(role="user", content=f"Where is order {number * 37}, sent to {prefix}?")],
            answer=f"In box {number}.",
            rejected="No idea.",
        )
        for number in range(count)
    ]


def list_edges(field):
    """List values at and beyond the edges of an option."""
    kinds = get_args(field.annotation) or (field.annotation,)
    if get_origin(field.annotation) is Literal:
        return list(kinds)
    bounds = [
        getattr(mark, name) for mark in field.metadata for name in ("ge", "gt", "le", "lt") if hasattr(mark, name)
    ]
    edges = [value for bound in bounds if bound is not None for value in (bound, bound + 1, bound - 1)]
    edges += [None] * (type(None) in kinds) + [True, False] * (bool in kinds)
    return edges + (list(NUMBERS) if int in kinds else list(FRACTIONS) if float in kinds else [])


@st.composite
def build_options(draw, config):
    fields = {name: list_edges(field) for name, field in config.model_fields.items() if name not in LONG}
    names = draw(
        st.lists(st.sampled_from(sorted(name for name, edges in fields.items() if edges)), max_size=4, unique=True)
    )
    return SMALL | {name: draw(st.sampled_from(fields[name])) for name in names}


def train(stage, options, folder):
    """Train two steps; return the reason of a refusal, or nothing."""
    run = {"sft": sft.run, "dpo": dpo.run}[stage]
    context = write_run(folder, stage, make_rows(8, "a"), make_rows(3, "b"))
    try:
        config = get_stage(stage).config.model_validate(options)
    except ValidationError as error:
        return str(error)
    refusal = None
    try:
        run(config, context)
    except PracticumError as error:  # any other exception ends a stage as Internal
        refusal = error
    assert refusal is None or (refusal.detail and refusal.fix and refusal.reason is not Reason.INTERNAL)
    return refusal.reason if refusal else ""


@pytest.mark.parametrize(("stage", "config"), [("sft", SftConfig), ("dpo", DpoConfig)])
def test_options_at_their_edges_train_or_are_refused(stage, config, tiny_model_dir, tmp_path):
    @PROFILE
    @given(build_options(config))
    def try_options(options):
        train(stage, options | {"model": str(tiny_model_dir)}, tmp_path / str(next(RUNS)) / "run")

    try_options()


@pytest.mark.parametrize(
    ("options", "said"),
    [
        ({"batch_size": 2**31}, "less than or equal to 65536"),
        ({"seed": 10**30}, "a number that a computer counts with"),
        ({"train_rows": 10**30}, "a number that a computer counts with"),
        ({"learning_rate": float("inf")}, "finite"),
        ({"learning_rate": -1}, "greater than 0"),
        ({"max_length": 1}, "greater than or equal to 16"),
        ({"dtype": "float8"}, "auto"),
        ({"strategy": "fsdp"}, Reason.PREFLIGHT_FAILED),
    ],
)
def test_what_no_machine_trains_with_is_refused(options, said, tiny_model_dir, tmp_path):
    assert said in train("sft", SMALL | options | {"model": str(tiny_model_dir)}, tmp_path / "run")


def build_model(tiny_model_dir, folder, family, **sizes):
    """Write a random model of another family with the tiny model's tokenizer."""
    import transformers  # noqa: PLC0415 - torch, where a model is made

    tokenizer = transformers.AutoTokenizer.from_pretrained(tiny_model_dir)
    ids = {"pad_token_id": 2, "bos_token_id": 1, "eos_token_id": 2}
    config = transformers.AutoConfig.for_model(family, vocab_size=len(tokenizer), **ids, **sizes)
    transformers.AutoModelForCausalLM.from_config(config).save_pretrained(folder)
    tokenizer.save_pretrained(folder)
    return str(folder)


GPT2 = {"n_embd": 32, "n_layer": 2, "n_head": 4}


@pytest.mark.parametrize(
    ("family", "sizes"),
    [
        ("bloom", {"hidden_size": 32, "n_layer": 2, "n_head": 4}),  # BELLE's; transformers has no sdpa for it
        ("gpt_neo", {"hidden_size": 32, "num_layers": 2, "num_heads": 4, "attention_types": [[["global"], 2]]}),
        ("gpt2", GPT2),  # its layers are no torch.nn.Linear
    ],
)
def test_models_of_other_families_are_trained(family, sizes, tiny_model_dir, tmp_path):
    model = build_model(tiny_model_dir, tmp_path / family, family, **sizes)
    assert train("sft", SMALL | {"model": model}, tmp_path / "runs" / "run") == ""


@pytest.mark.parametrize(
    ("family", "sizes", "options", "said"),
    [
        ("mamba", {"hidden_size": 32, "num_hidden_layers": 2, "state_size": 8}, {}, "incompatible with Mamba"),
        ("gpt2", GPT2, {"engine": "flat"}, "no torch.nn.Linear"),
        ("gpt2", GPT2 | {"n_positions": 24}, {}, "24 positions: set max_length to 24 at most"),
        ("deepseek_v3", {"hidden_size": 32, "num_hidden_layers": 2, "num_attention_heads": 4, "head_dim": 8,
                         "intermediate_size": 64, "n_routed_experts": 8, "moe_intermediate_size": 8}, {},
         "cannot be trained with these options"),
    ],
)  # fmt: skip
def test_models_that_cannot_be_trained_are_refused_in_one_sentence(
    family, sizes, options, said, tiny_model_dir, tmp_path
):
    model = build_model(tiny_model_dir, tmp_path / family, family, **sizes)
    context = write_run(tmp_path / "runs" / "run", "sft", make_rows(8, "a"), make_rows(3, "b"))
    with pytest.raises(ConfigError) as caught:
        sft.run(SftConfig.model_validate(SMALL | {"model": model} | options), context)
    assert caught.value.reason is Reason.PREFLIGHT_FAILED
    assert said in caught.value.detail


def test_an_answer_at_a_checkpoint_ends_at_the_models_last_position(tiny_model_dir, tmp_path):
    model = build_model(tiny_model_dir, tmp_path / "gpt2", "gpt2", **GPT2, n_positions=128)
    options = SMALL | {"model": model, "sample_max_new_tokens": 10_000}
    assert train("sft", options, tmp_path / "runs" / "run") == ""
    samples = (tmp_path / "runs" / "run" / "stages" / "sft" / "samples.jsonl").read_text().splitlines()
    assert len(samples) == 2
    assert all(json.loads(line)["step"] in (1, 2) for line in samples)
