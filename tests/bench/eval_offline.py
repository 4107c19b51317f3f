"""vLLM's own offline throughput, in the environment `serve`: the settings of an evaluation, and nothing around it.

python eval_offline.py MODEL PROMPTS.json MAX_NEW_TOKENS CONCURRENCY; prints {"seconds", "num_tokens"} of generate().
"""

from __future__ import annotations

import json
import sys
import time
from pathlib import Path

from practicum_jobs.adapters.engine import EngineSettings
from practicum_jobs.adapters.engine_vllm import VllmEngine

_CONTEXT = 256


def main() -> None:
    """Load the model as an evaluation does, then answer all prompts by one call of vLLM's generate()."""
    model, prompts, max_new_tokens, concurrency = sys.argv[1:]
    token_ids = json.loads(Path(prompts).read_text(encoding="utf-8"))
    settings = EngineSettings(
        Path(model), [], int(max_new_tokens), _CONTEXT, int(concurrency), num_threads=0, has_prefix_cache=True
    )
    engine = VllmEngine(settings)
    import vllm  # noqa: PLC0415 - after what it reads from the environment is set

    parameters = vllm.SamplingParams(temperature=0.0, max_tokens=int(max_new_tokens))
    started_s = time.perf_counter()
    outputs = engine._llm.generate([{"prompt_token_ids": ids} for ids in token_ids], parameters, use_tqdm=False)
    seconds = time.perf_counter() - started_s
    num_tokens = sum(len(one.outputs[0].token_ids) for one in outputs)
    print(json.dumps({"seconds": seconds, "num_tokens": num_tokens}))


if __name__ == "__main__":
    main()
