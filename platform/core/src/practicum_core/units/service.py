"""Units of one server: a model behind the gateway as long as it is wanted, and load tests and faults of any server."""

from __future__ import annotations

from practicum_core.gates import Comparison
from practicum_core.units.availability import AVAILABILITY_GATES, BREAKABLE_GATEWAY
from practicum_core.units.shared_steps import CLIENT_KEPT_UP, REPORT
from practicum_core.units.unit import Step, Unit, build_gate

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
BREAKABLE_SERVICE = Unit(
    "breakable-service",
    "A model in service, to be broken",
    "可注入故障的模型服务",
    "Answer OpenAI's HTTP API with a model, behind a gateway with a degradation ladder and a fault proxy.",
    "在带有降级阶梯和故障代理的网关后，用模型提供 OpenAI 接口。",
    ("W8.3",),
    (
        Step("serve", "serve"),
        Step("faultproxy", "faultproxy", needs=("serve",)),
        Step("gateway", "gateway", config=BREAKABLE_GATEWAY, needs=("faultproxy",)),
    ),
)
"""What ``practicum serve --with-faults`` runs."""
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
CHAOS_TEST = Unit(
    "chaos-test",
    "Faults in a server on purpose",
    "主动故障实验",
    "Break a server on purpose, under load, and find out what its users get.",
    "在负载下主动制造故障，查明用户得到什么。",
    ("P.6",),
    (
        Step(
            "chaos",
            "chaos",
            config={"url": "http://127.0.0.1:8080", "proxy_url": "", "split": None, "own_key": False},
        ),
        REPORT,
    ),
    AVAILABILITY_GATES,
)
"""What ``practicum chaos`` runs."""
DESCRIPTION = Unit(
    "description",
    "Description of a deployment",
    "部署说明",
    "Describe the servers of a run while they are up, from what runs and what its records say.",
    "在服务运行期间，根据实际运行的内容与记录生成部署说明。",
    ("W8.5",),
    (Step("describe", "describe"),),
)
"""What ``practicum describe`` runs."""
REPLAY = Unit(
    "replay",
    "Recorded traffic sent again",
    "流量重放",
    "Send recorded requests again at the same times, and find out whether the service answers them as it did.",
    "在相同时刻重新发送录制的请求，查明服务的回答是否与当时一致。",
    ("W8.2",),
    # As late as a replay may be: one that is later is not compared, and is not refused before.
    (Step("loadtest", "loadtest", config={"url": "http://127.0.0.1:8080", "max_dispatch_s": 0.1}),),
    (
        CLIENT_KEPT_UP,
        build_gate(
            "replay_same",
            "loadtest",
            "replay_same",
            Comparison.EQUAL,
            1,
            "The recorded requests had the same outcomes, alerts and times again",
            "录制的请求再次得到相同的结果、告警与耗时",
        ),
    ),
)
"""What ``practicum replay`` runs."""
