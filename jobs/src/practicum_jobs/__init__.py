"""The stages of a week: ``python -m practicum_jobs STAGE --config FILE --run-dir DIR [--step NAME]``.

Layers, from the top: ``__main__`` -> one package per stage (independent of each other) -> ``datasets``, ``text``,
``models``, ``scoring``, ``render`` (what stages share) -> ``adapters`` (the only modules that import torch, ray,
trl, peft, transformers) -> ``context``.
"""
