"""Amounts of CPU and memory as Kubernetes writes them, and the least of each that a pod may ask for.

A pod that asks for nothing is counted by no queue and no quota, and has no limit on its node.
"""

from __future__ import annotations

from decimal import Decimal
from typing import Annotated

from pydantic import AfterValidator, StringConstraints

MIN_CPU, MIN_MEMORY = "10m", "16Mi"
_FACTORS = {
    "": Decimal(1),
    "m": Decimal(1) / 1000,
    **{unit: Decimal(1000) ** power for power, unit in enumerate(("k", "M", "G", "T"), start=1)},
    **{unit: Decimal(1024) ** power for power, unit in enumerate(("Ki", "Mi", "Gi", "Ti"), start=1)},
}
_DIGITS = "0123456789."


def read_quantity(text: str) -> Decimal:
    """Return the number that an amount of Kubernetes stands for.

    >>> read_quantity("500m"), read_quantity("1.5k"), read_quantity("2Gi")
    (Decimal('0.500'), Decimal('1500.0'), Decimal('2147483648'))
    """
    unit = text.lstrip(_DIGITS)
    return Decimal(text.removesuffix(unit)) * _FACTORS[unit]


def describe_milli(text: str) -> str | None:
    """Say what is wrong with an amount of bytes in thousandths; ``None`` where nothing is.

    >>> describe_milli("512m")
    '512m is in thousandths of a byte: write 512Mi'
    """
    return f"{text} is in thousandths of a byte: write {text[:-1]}Mi" if text.endswith("m") else None


def _check_bytes(text: str) -> str:
    if fault := describe_milli(text):
        raise ValueError(fault)
    return text


def _check_cpu(text: str) -> str:
    if read_quantity(text) < read_quantity(MIN_CPU):
        raise ValueError(f"{text} is too little: at least {MIN_CPU}")
    return text


def _check_memory(text: str) -> str:
    if read_quantity(_check_bytes(text)) < read_quantity(MIN_MEMORY):
        raise ValueError(f"{text} is too little: at least {MIN_MEMORY}")
    return text


Quantity = Annotated[str, StringConstraints(pattern=r"^[0-9]+(\.[0-9]{1,3})?(m|k|Ki|M|Mi|G|Gi|T|Ti)?$", max_length=20)]
"""An amount, such as 500m or 8Gi. A class that borrows everything from its cohort has 0 of its own."""
Bytes = Annotated[Quantity, AfterValidator(_check_bytes)]
"""An amount of memory or of a volume."""
PodCpu = Annotated[Quantity, AfterValidator(_check_cpu)]
"""CPUs that a pod asks for, or that pods may ask for together."""
PodMemory = Annotated[Quantity, AfterValidator(_check_memory)]
"""Memory likewise."""
