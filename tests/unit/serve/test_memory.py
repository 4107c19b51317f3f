"""The memory of an engine, estimated from files and options before it is started."""

from __future__ import annotations

import pytest

from practicum_core.errors import ConfigError, Reason
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.serve.memory import GIB, ServingMemory, estimate_memory


def write_weights(path, num_parameters, num_bytes):
    header = f'{{"w":{{"dtype":"F32","shape":[{num_parameters}],"data_offsets":[0,{num_bytes}]}}}}'.encode()
    with path.open("wb") as file:
        file.write(len(header).to_bytes(8, "little") + header)
        file.truncate(8 + len(header) + num_bytes)


@pytest.mark.parametrize(("dtype", "gib"), [("bfloat16", 0.5), ("float32", 1.0)])
def test_wide_weights_are_narrowed(tmp_path, dtype, gib):
    write_weights(tmp_path / "model.safetensors", GIB // 4, GIB)
    memory = estimate_memory(tmp_path, ServeConfig(dtype=dtype, kv_cache_gib=2.5))
    assert memory.weights_gib == pytest.approx(gib, rel=1e-3)
    assert memory.total_gib == pytest.approx(gib + 2.5 + memory.processes_gib, rel=1e-3)


def test_a_model_that_does_not_fit_is_refused_with_what_takes_the_memory():
    with pytest.raises(ConfigError, match=r"hf://big needs about 33\.5 GiB .* 20\.0 GiB are free") as refused:
        ServingMemory(30.0, 1.0).check(20.0, "hf://big")
    assert refused.value.reason is Reason.PREFLIGHT_FAILED
