"""Model FLOP utilization: the arithmetic that the model needs over what the hardware can do. Pure."""

from __future__ import annotations

import re
from collections.abc import Sequence

from practicum_core.stages.training import TrainingConfig
from practicum_jobs.adapters.lever_measurement import TrainingMeasurement

PEAK_FLOPS = {
    "H200": 989e12,
    "H100 PCIe": 756e12,
    "H100": 989e12,
    "A100": 312e12,
    "L40S": 362e12,
    "A10": 125e12,
    "L4": 121e12,
    "V100": 125e12,
    "T4": 65e12,
}
"""Dense bfloat16 (V100, T4: float16) operations per second by a part of a GPU's name, from NVIDIA's data sheets."""
_FORWARD, _BACKWARD, _BACKWARD_FROZEN = 2, 4, 2
"""Operations per weight and token: a multiplication and an addition forward, twice that backward; half of it where the
weight itself has no gradient (Kaplan et al., 2020, section 2.1; Chowdhery et al., 2022, appendix B)."""


def count_flops_per_token(num_parameters: int, num_trainable: int) -> int:
    """Return the operations that a token needs, attention's own and recomputation left out.

    >>> count_flops_per_token(100, 100), count_flops_per_token(100, 0)
    (600, 400)
    """
    frozen = num_parameters - num_trainable
    return (_FORWARD + _BACKWARD) * num_trainable + (_FORWARD + _BACKWARD_FROZEN) * frozen


def find_peak_flops(gpus: Sequence[str]) -> float | None:
    """Return the peak of the first GPU; ``None`` where there is none, or the table lacks it.

    >>> find_peak_flops(["NVIDIA H100 PCIe, 81559 MiB"]), find_peak_flops([])
    (756000000000000.0, None)
    >>> find_peak_flops(["NVIDIA L4, 23034 MiB"]), find_peak_flops(["NVIDIA L40, 46068 MiB"])
    (121000000000000.0, None)
    """
    # Whole words: an A10G or an L40 is another GPU than an A10 or an L4.
    return next((peak for name, peak in PEAK_FLOPS.items() if gpus and re.search(rf"\b{name}\b", gpus[0])), None)


def estimate_mfu(
    measured: TrainingMeasurement, tokens_per_s: float, config: TrainingConfig, gpus: Sequence[str]
) -> float | None:
    """Return the model FLOP utilization; ``None`` without a GPU of a known peak for the type that is computed in."""
    peak = find_peak_flops(gpus)
    if peak is None or config.dtype == "float32":
        return None
    return tokens_per_s * count_flops_per_token(measured.num_parameters, measured.num_trainable_parameters) / peak
