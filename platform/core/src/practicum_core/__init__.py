"""The core of Practicum, which all other packages share: data models, curriculum, gates and the plan.

It depends on pydantic and the standard library only, and uses no clock, no Kubernetes client and no torch.
"""
