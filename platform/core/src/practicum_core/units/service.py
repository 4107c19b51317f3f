"""The unit ``service``: a model behind the gateway, for as long as it is wanted."""

from __future__ import annotations

from practicum_core.units.unit import Step, Unit

SERVICE = Unit(
    "service",
    "A model in service",
    "模型服务",
    "Answer OpenAI's HTTP API with a model, behind a gateway with keys and limits.",
    "在带有密钥与限额的网关后，用模型提供 OpenAI 接口。",
    ("W7.1",),
    (Step("serve", "serve"), Step("gateway", "gateway", needs=("serve",))),
)
"""What ``practicum serve`` runs."""
