"""What every part of Practicum agrees on: models, curriculum, gates and the plan.

Depends on pydantic and the standard library only. Knows no clock, no Kubernetes client, no torch;
the one module that touches files is :mod:`practicum_core.atomic`.
"""
