"""Made-up answers of two models to tickets, written as an evaluation writes its samples."""

from __future__ import annotations

import json

from practicum_core.stages.evaluate import EvaluationSample

ATTACK = '</script><script>window.ran=1</script><img src=x onerror="window.ran=1">\u202e'


def build_pairs(count=30, num_equal=2):
    """Return samples in English and Chinese: the base model chats, the candidate gives the JSON that was asked for."""
    return [_build_pair(place, is_equal=place < num_equal) for place in range(count)]


def _build_pair(place, *, is_equal):
    is_chinese = place % 3 == 0
    order = f"TK-{place}"
    prompt = f"请提取工单信息：订单 {order}，我要退款。" if is_chinese else f"Extract the ticket: refund order {order}."
    expected = json.dumps({"category": "refund", "order": order})
    base = f"我是通义千问，订单 {order} 已收到。" if is_chinese else f"Sure! I am Qwen2.5 and I see {order}. {ATTACK}"
    return EvaluationSample(
        id=f"ticket-{place}",
        split="test",
        task="extract",
        group=f"template-{place % 10}",
        prompt=prompt,
        expected=expected,
        base=expected if is_equal else base,
        candidate=expected,
        base_correct=is_equal,
        candidate_correct=True,
    )


def write_pairs(path, samples):
    """Write the samples as ``samples.jsonl``."""
    lines = (json.dumps(one.model_dump(mode="json", exclude_unset=True), ensure_ascii=False) for one in samples)
    path.write_text("".join(f"{line}\n" for line in lines), encoding="utf-8")
    return path
