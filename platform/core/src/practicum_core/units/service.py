"""Units of one server: a model behind the gateway for as long as it is wanted, and the load test of any server."""

from __future__ import annotations

from practicum_core.units.shared_steps import CLIENT_KEPT_UP
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
LOAD_TEST = Unit(
    "load-test",
    "Load test of a server",
    "服务压测",
    "Find out which rate of requests a server bears, and what it waits for first.",
    "测出服务能承受的请求速率，以及最先受限之处。",
    ("W7.2",),
    (Step("loadtest", "loadtest", config={"url": "http://127.0.0.1:8080"}),),
    (CLIENT_KEPT_UP,),
)
"""What ``practicum loadtest`` runs."""
