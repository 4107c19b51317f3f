"""Cases of keys, tokens, webhooks and passwords: random bodies that open nothing."""

import base64
import json
import random
import string
import uuid
from collections.abc import Callable

import pii_values as values
from pii_shapes import Shape

UPPER32 = "ABCDEFGHIJKLMNOPQRSTUVWXYZ234567"
HEX = "0123456789abcdef"
URLSAFE = values.ALNUM + "-_"
KEY_CARRIERS = (
    "{}",
    "export KEY={}",
    'client = Client("{}")',
    "我的密钥是{}，别外传",
    '{"key": "{}"}',
    "```bash\ncurl -H 'X-Key: {}' https://api.example.com\n```",
    "| key | {} |",
    "user: is {} still valid?",
    "密钥{}已过期",
)

Body = Callable[[random.Random], str]


def join(prefix: str, count: int, alphabet: str = values.ALNUM) -> Body:
    return lambda rng: prefix + values.make_body(rng, count, alphabet)


def list_prefixed() -> list[Shape]:
    """Keys that their first letters tell apart."""
    forms: dict[str, dict[str, Body]] = {
        "aws_key": {"AKIA": join("AKIA", 16, UPPER32), "ASIA": join("ASIA", 16, UPPER32)},
        "openai_key": {
            "48": join("sk-", 48),
            "project": join("sk-proj-", 74, URLSAFE),
            "service": join("sk-svcacct-", 60),
            "32 hex": join("sk-", 32, HEX),
        },
        "github_token": {
            "ghp": join("ghp_", 36),
            "gho": join("gho_", 36),
            "ghs": join("ghs_", 36),
            "fine-grained": lambda rng: f"github_pat_{values.make_body(rng, 22)}_{values.make_body(rng, 59)}",
        },
        "gitlab_token": {
            "personal": join("glpat-", 20, URLSAFE),
            "deploy": join("gldt-", 20),
            "runner": join("glrt-", 20),
        },
        "huggingface_token": {"hf": join("hf_", 34, string.ascii_letters)},
        "google_key": {"AIza": join("AIza", 35, URLSAFE), "AIzaSy": join("AIzaSy", 33)},
        "stripe_key": {
            "secret": join("sk_live_", 24),
            "restricted": join("rk_live_", 24),
            "long": join("sk_live_51", 97),
        },
        "alibaba_key": {"LTAI5t": join("LTAI5t", 18), "LTAI": join("LTAI", 12)},
        "tencent_key": {"AKID": join("AKID", 32)},
        "slack_token": {
            "bot": lambda rng: write_slack(rng, "xoxb"),
            "user": lambda rng: write_slack(rng, "xoxp"),
            "app": lambda rng: (
                f"xapp-1-A{values.make_body(rng, 10, UPPER32)}-{values.make_digits(rng, 13)}-"
                + values.make_body(rng, 64, HEX)
            ),
        },
    }
    return [
        Shape(f"{kind} {name}", (f"secret:{kind}",), body, KEY_CARRIERS, -(-44 // len(bodies)))
        for kind, bodies in forms.items()
        for name, body in bodies.items()
    ]


def write_slack(rng: random.Random, prefix: str) -> str:
    return f"{prefix}-{values.make_digits(rng, 12)}-{values.make_digits(rng, 13)}-{values.make_body(rng, 24)}"


def list_azure() -> list[Shape]:
    kind = ("secret:azure_key",)

    def account(rng: random.Random) -> str:
        return values.make_body(rng, 86, values.ALNUM + "+/") + "=="

    def client(rng: random.Random) -> str:
        return f"{values.make_body(rng, 3)}8Q~{values.make_body(rng, 34, URLSAFE)}"

    store = "DefaultEndpointsProtocol=https;AccountName=course;AccountKey={};EndpointSuffix=core.windows.net"
    return [
        Shape("azure_key storage", kind, account, (store, "AccountKey={}", f'conn = "{store}"'), 18),
        Shape("azure_key client secret", kind, client, ("AZURE_CLIENT_SECRET={}", *KEY_CARRIERS), 16),
        Shape(
            "azure_key service",
            kind,
            lambda rng: values.make_body(rng, 32, HEX),
            ("AZURE_OPENAI_API_KEY={}", 'AZURE_OPENAI_KEY="{}"', "Ocp-Apim-Subscription-Key: {}"),
            10,
        ),
    ]


def make_password(rng: random.Random) -> str:
    """Letters of both cases, digits and a sign; no word of any language."""
    letters = values.make_body(rng, 4, string.ascii_lowercase) + values.make_body(rng, 2, string.ascii_uppercase)
    return letters + rng.choice("!#$%^&") + values.make_digits(rng, 4)


def make_weak_password(rng: random.Random) -> str:
    return values.make_body(rng, 5, "bcdfghkmnpqrstvwxz") + values.make_digits(rng, 4)


def list_passwords() -> list[Shape]:
    generic, bearer, url = ("secret:generic",), ("secret:bearer_token",), ("secret:url_password",)
    unsigned = ("密码 {}", "密码{}", "pwd {}", "密码是{}，登录后改掉", "口令 {}", "账号 course01 密码 {}", "passwd {}")
    signed = (
        "password = '{}'",
        "密码：{}",
        "DB_PASSWORD={}",
        '{"password": "{}"}',
        "api_key: {}",
        "secret_key = {}",
        "pwd={}",
    )
    heads = ("Authorization: Bearer {}", "curl -H 'Authorization: Bearer {}' https://api.example.com", "bearer {}")
    schemes = ("postgres", "mysql", "redis", "mongodb+srv", "https", "amqp", "ftp", "postgresql+psycopg2")

    def write_url(rng: random.Random) -> str:
        word = values.make_body(rng, 12)
        return f"{rng.choice(schemes)}://app{rng.randint(10, 99)}:{word}@db.example.com:5432/course"

    jwt_heads = ('headers = {"Authorization": "Bearer {}"}', *heads)
    return [
        Shape("generic unsigned", generic, make_password, unsigned, 18),
        Shape("generic unsigned weak", generic, make_weak_password, unsigned, 10),
        Shape("generic assigned", generic, make_password, signed, 18),
        Shape("generic assigned key", generic, join("", 32), ("api_key = '{}'", "SECRET_KEY={}", 'token: "{}"'), 8),
        Shape("bearer_token opaque", bearer, join("", 40), jwt_heads, 24),
        Shape("bearer_token hex", bearer, join("", 64, HEX), heads, 12),
        Shape("bearer_token signs", bearer, join("", 48, URLSAFE + "."), heads, 12),
        Shape("url_password", url, write_url, ("{}", "DATABASE_URL={}", "连接串 {} 可用", 'engine = create("{}")'), 36),
        Shape("url_password git", url, write_git, ("git clone {}", "remote: {}"), 10),
    ]


def write_git(rng: random.Random) -> str:
    return f"https://bot:{values.make_body(rng, 20)}@git.example.com/course/repo.git"


def list_webhooks() -> list[Shape]:
    kind = ("secret:webhook",)
    said = ("{}", "webhook: {}", "机器人地址 {}", "curl -X POST '{}' -d @body.json", "[hook]({})", 'URL = "{}"')

    def make_uuid(rng: random.Random) -> str:
        return str(uuid.UUID(int=rng.getrandbits(128), version=4))

    def slack(rng: random.Random) -> str:
        team, channel = values.make_body(rng, 10, UPPER32), values.make_body(rng, 10, UPPER32)
        return f"https://hooks.slack.com/services/T{team}/B{channel}/{values.make_body(rng, 24)}"

    return [
        Shape("webhook Slack", kind, slack, said, 12),
        Shape(
            "webhook WeCom",
            kind,
            lambda rng: f"https://qyapi.weixin.qq.com/cgi-bin/webhook/send?key={make_uuid(rng)}",
            said,
            12,
        ),
        Shape(
            "webhook DingTalk",
            kind,
            lambda rng: f"https://oapi.dingtalk.com/robot/send?access_token={values.make_body(rng, 64, HEX)}",
            said,
            12,
        ),
        Shape(
            "webhook Feishu",
            kind,
            lambda rng: (
                f"https://open.{rng.choice(('feishu.cn', 'larksuite.com'))}/open-apis/bot/v2/hook/{make_uuid(rng)}"
            ),
            said,
            12,
        ),
    ]


def list_blocks() -> list[Shape]:
    labels = ("RSA PRIVATE KEY", "EC PRIVATE KEY", "PRIVATE KEY", "OPENSSH PRIVATE KEY", "ENCRYPTED PRIVATE KEY")

    def key(rng: random.Random) -> str:
        label = rng.choice(labels)
        lines = "\n".join(values.make_body(rng, 64, values.ALNUM + "+/") for _ in range(2))
        return f"-----BEGIN {label}-----\n{lines}\n-----END {label}-----"

    def jwt(rng: random.Random) -> str:
        parts = ({"alg": rng.choice(("HS256", "RS256")), "typ": "JWT"}, {"sub": values.make_digits(rng, 10), "exp": 1})
        encoded = [base64.urlsafe_b64encode(json.dumps(part).encode()).rstrip(b"=").decode() for part in parts]
        return ".".join((*encoded, values.make_body(rng, 43, URLSAFE)))

    return [
        Shape(
            "private_key block",
            ("secret:private_key",),
            key,
            ("{}", "这是私钥：\n{}", "```\n{}\n```", "cat id <<E\n{}\nE"),
            34,
        ),
        Shape(
            "private_key one line",
            ("secret:private_key",),
            lambda rng: key(rng).replace("\n", "\\n"),
            ('{"key": "{}"}', "{}"),
            8,
        ),
        Shape("jwt", ("secret:jwt",), jwt, KEY_CARRIERS, 36),
        Shape(
            "jwt in a cookie or URL", ("secret:jwt",), jwt, ("Cookie: session={}", "https://example.com/cb?id={}"), 8
        ),
    ]


def list_shapes() -> list[Shape]:
    return [*list_prefixed(), *list_azure(), *list_passwords(), *list_webhooks(), *list_blocks()]
