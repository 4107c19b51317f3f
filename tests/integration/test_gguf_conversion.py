from __future__ import annotations

import json
import sys

import gguf
import numpy as np
import pytest
import torch
import transformers

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_jobs.adapters.gguf_export import write_gguf as export_gguf
from practicum_jobs.models.conversion import convert_gguf, get_weight_name
from practicum_jobs.models.folder import check_model_folder
from practicum_jobs.models.gguf import GgufFile
from practicum_jobs.models.tokens import ChatTokenizer

HIDDEN, HEADS, KV_HEADS, LAYERS, INNER = 64, 4, 2, 2, 96
KINDS = {"attn": gguf.GGMLQuantizationType.Q4_1, "ffn": gguf.GGMLQuantizationType.Q8_0}
TEMPLATE = (
    "{% for m in messages %}<s>{{ m.role }}\n{{ m.content }}</s>{% endfor %}"
    "{% if add_generation_prompt %}<s>{% endif %}"
)


def build_vocabulary() -> tuple[list[str], list[str]]:
    letters = [chr(code) for code in range(33, 127)] + ["Ġ", "Ċ"]
    merges = ["t h", "th e", "Ġ the", "Ċ Ċ", "o r", "or d"]
    return ["<pad>", "<s>", "</s>", *letters, *(merge.replace(" ", "") for merge in merges)], merges


def write_gguf(path, architecture="llama", pre="smollm"):
    """Write a random Llama as llama.cpp's converter would: quantized, with its rotary order, named as there."""
    generator = np.random.default_rng(3)
    tokens, merges = build_vocabulary()
    writer = gguf.GGUFWriter(path, architecture)
    writer.add_context_length(256)
    writer.add_embedding_length(HIDDEN)
    writer.add_block_count(LAYERS)
    writer.add_feed_forward_length(INNER)
    writer.add_head_count(HEADS)
    writer.add_head_count_kv(KV_HEADS)
    writer.add_layer_norm_rms_eps(1e-5)
    writer.add_rope_freq_base(50_000.0)
    writer.add_rope_dimension_count(HIDDEN // HEADS)
    writer.add_vocab_size(len(tokens))
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(tokens)
    writer.add_token_types([3, 3, 3] + [1] * (len(tokens) - 3))
    writer.add_token_merges(merges)
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(2)
    writer.add_pad_token_id(0)
    writer.add_unk_token_id(0)
    writer.add_chat_template(TEMPLATE)
    sides = {
        "attn_q": (HIDDEN, HIDDEN),
        "attn_k": (HIDDEN * KV_HEADS // HEADS, HIDDEN),
        "attn_v": (HIDDEN * KV_HEADS // HEADS, HIDDEN),
        "attn_output": (HIDDEN, HIDDEN),
        "ffn_gate": (INNER, HIDDEN),
        "ffn_up": (INNER, HIDDEN),
        "ffn_down": (HIDDEN, INNER),
        "attn_norm": (HIDDEN,),
        "ffn_norm": (HIDDEN,),
    }
    shapes = {f"blk.{layer}.{name}.weight": shape for layer in range(LAYERS) for name, shape in sides.items()}
    shapes |= {"token_embd.weight": (len(tokens), HIDDEN), "output_norm.weight": (HIDDEN,)}
    for name, shape in shapes.items():
        values = generator.normal(0, 0.3, shape).astype(np.float32)
        kind = next((kind for part, kind in KINDS.items() if part in name and len(shape) > 1), None)
        if kind is None:
            writer.add_tensor(name, values)
        else:
            writer.add_tensor(name, gguf.quants.quantize(values, kind), raw_dtype=kind)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


@pytest.fixture(scope="module")
def source(tmp_path_factory):
    path = tmp_path_factory.mktemp("gguf") / "model.gguf"
    write_gguf(path)
    return path


@pytest.fixture(scope="module")
def folder(source, tmp_path_factory):
    folder = tmp_path_factory.mktemp("converted")
    convert_gguf(source, folder)
    return folder


def test_the_converted_model_computes_what_transformers_computes_from_the_same_file(source, folder):
    check_model_folder(folder, "file:///converted")
    reference = transformers.AutoModelForCausalLM.from_pretrained(
        source.parent, gguf_file=source.name, dtype=torch.float32
    )
    ours, report = transformers.AutoModelForCausalLM.from_pretrained(
        folder, dtype=torch.float32, output_loading_info=True
    )
    assert not any(report[key] for key in ("missing_keys", "unexpected_keys", "mismatched_keys"))
    ids = torch.tensor([[1, 5, 40, 97, 98, 2, 60]])
    with torch.inference_mode():
        assert torch.equal(ours(ids).logits, reference(ids).logits)
    assert ours.generation_config.eos_token_id == 2
    assert ours.config.rope_parameters == reference.config.rope_parameters


def test_the_converted_tokenizer_splits_digits_and_keeps_special_tokens(folder):
    tokenizer = ChatTokenizer(folder)
    assert [tokenizer.decode([token]) for token in tokenizer.encode("the ord\n\n12")] == [
        "the", " ", "ord", "\n\n", "1", "2",
    ]  # fmt: skip
    assert tokenizer.encode("</s>") == [2]
    messages = [{"role": "user", "content": "the order 12"}]
    reference = transformers.AutoTokenizer.from_pretrained(folder)
    expected = reference.apply_chat_template(messages, add_generation_prompt=True, return_dict=False)
    assert tokenizer.encode(tokenizer.render(messages, add_generation_prompt=True)) == expected
    assert (reference.eos_token, reference.pad_token) == ("</s>", "<pad>")


def test_a_tensor_that_is_not_there_is_named(source):
    with pytest.raises(ConfigError, match="tensor 'x' is missing"):
        GgufFile(source).read_tensor("x")


def test_an_environment_without_the_reader_says_which_step_converts(source, monkeypatch):
    monkeypatch.setitem(sys.modules, "gguf", None)
    with pytest.raises(PlatformError, match="cannot read GGUF") as caught:
        GgufFile(source)
    assert "step `model` first" in caught.value.fix


def test_a_spoiled_file_is_one_clear_error_or_still_a_whole_model(source, tmp_path):
    refused = 0
    for seed in range(150):
        generator = np.random.default_rng(seed)
        data = np.frombuffer(source.read_bytes(), np.uint8).copy()
        data[generator.integers(0, 1500, 3)] = generator.integers(0, 256, 3)
        (tmp_path / "spoiled.gguf").write_bytes(data.tobytes())
        try:
            convert_gguf(tmp_path / "spoiled.gguf", tmp_path)
        except ConfigError:
            refused += 1
    assert refused > 50


@pytest.mark.parametrize("kept", [0, 3, 20, 700, -1])
def test_a_file_that_was_cut_off_is_one_clear_error(source, tmp_path, kept):
    (tmp_path / "half.gguf").write_bytes(source.read_bytes()[:kept])
    with pytest.raises(ConfigError, match=r"cut off|not a GGUF file") as caught:
        convert_gguf(tmp_path / "half.gguf", tmp_path)
    assert caught.value.reason is Reason.MODEL_MISSING


def test_another_architecture_is_refused(tmp_path):
    write_gguf(tmp_path / "other.gguf", architecture="falcon")
    with pytest.raises(ConfigError, match="not a Llama"):
        convert_gguf(tmp_path / "other.gguf", tmp_path)


def test_a_tensor_without_a_place_is_refused():
    with pytest.raises(ConfigError, match=r"blk\.0\.attn_rot\.weight"):
        get_weight_name("blk.0.attn_rot.weight")


def test_an_exported_model_comes_back_as_it_was(tiny_model_dir, tmp_path):
    """The file that the quantization starts from, read by the conversion that the built-in model goes through."""
    template = (tiny_model_dir / "chat_template.jinja").read_text(encoding="utf-8")
    export_gguf(tiny_model_dir, tmp_path / "model.gguf", template)
    back = tmp_path / "back"
    back.mkdir()
    convert_gguf(tmp_path / "model.gguf", back)
    check_model_folder(back, "back")
    one, other = (transformers.AutoModelForCausalLM.from_pretrained(folder) for folder in (tiny_model_dir, back))
    for name, tensor in one.state_dict().items():
        assert torch.allclose(tensor, other.state_dict()[name], atol=1e-3), name
    turns = [{"role": "user", "content": "My parcel, order number 4711.\n\n订单"}]
    texts = [ChatTokenizer(folder).render(turns, add_generation_prompt=True) for folder in (tiny_model_dir, back)]
    assert texts[0] == texts[1]
    assert ChatTokenizer(tiny_model_dir).encode(texts[0]) == ChatTokenizer(back).encode(texts[0])


def test_a_model_of_another_family_is_not_exported(tiny_model_dir, tmp_path):
    (tmp_path / "config.json").write_text('{"model_type": "mamba"}')
    with pytest.raises(ConfigError, match="a mamba model cannot be written as GGUF"):
        export_gguf(tmp_path, tmp_path / "model.gguf", "")


QWEN_RULE = {
    "type": "Sequence",
    "pretokenizers": [
        {
            "type": "Split",
            "pattern": {"Regex": r"(?i:'s|'t|'re|'ve|'m|'ll|'d)|[^\r\n\p{L}\p{N}]?\p{L}+|\p{N}|\s+"},
            "behavior": "Isolated",
            "invert": False,
        },
        {"type": "ByteLevel", "add_prefix_space": False, "trim_offsets": False, "use_regex": False},
    ],
}


def test_a_qwen2_with_its_biases_is_exported_as_transformers_reads_it(tiny_model_dir, tmp_path):
    folder = tmp_path / "qwen"
    config = transformers.Qwen2Config(
        vocab_size=512,
        hidden_size=64,
        intermediate_size=128,
        num_hidden_layers=2,
        num_attention_heads=4,
        num_key_value_heads=2,
        max_position_embeddings=1024,
        tie_word_embeddings=True,
        bos_token_id=1,
        eos_token_id=2,
    )
    with torch.random.fork_rng():
        torch.manual_seed(4)
        model = transformers.Qwen2ForCausalLM(config).eval()
        for parameter in model.parameters():
            torch.nn.init.normal_(parameter, 0, 0.1)
    model.save_pretrained(folder)
    tokenizer = json.loads((tiny_model_dir / "tokenizer.json").read_text(encoding="utf-8"))
    (folder / "tokenizer.json").write_text(json.dumps(tokenizer | {"pre_tokenizer": QWEN_RULE}), encoding="utf-8")
    export_gguf(folder, folder / "model.gguf", TEMPLATE)
    back = transformers.AutoModelForCausalLM.from_pretrained(folder, gguf_file="model.gguf", dtype=torch.float32)
    ids = torch.tensor([[1, 5, 40, 97, 98, 2, 60]])
    with torch.inference_mode():
        assert torch.allclose(model(ids).logits, back.eval()(ids).logits, atol=2e-3)
    assert gguf.GGUFReader(folder / "model.gguf").fields["tokenizer.ggml.pre"].contents() == "qwen2"
