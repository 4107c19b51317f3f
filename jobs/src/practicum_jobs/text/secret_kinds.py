"""The kinds of credentials that are looked for."""

from enum import StrEnum


class SecretKind(StrEnum):
    """What a credential opens."""

    AWS_KEY = "aws_key"
    """Amazon Web Services access key id."""
    OPENAI_KEY = "openai_key"
    """Key of OpenAI's form (``sk-``), which many model services share."""
    GITHUB_TOKEN = "github_token"  # noqa: S105 - a kind's name
    """GitHub token, classic or fine-grained."""
    GITLAB_TOKEN = "gitlab_token"  # noqa: S105 - a kind's name
    """GitLab token: of a person, a deployment or a runner."""
    SLACK_TOKEN = "slack_token"  # noqa: S105 - a kind's name
    """Slack token."""
    HUGGINGFACE_TOKEN = "huggingface_token"  # noqa: S105 - a kind's name
    """Hugging Face token."""
    GOOGLE_KEY = "google_key"
    """Google API key."""
    STRIPE_KEY = "stripe_key"
    """Stripe key, secret or restricted."""
    ALIBABA_KEY = "alibaba_key"
    """Alibaba Cloud access key id."""
    TENCENT_KEY = "tencent_key"
    """Tencent Cloud secret id."""
    AZURE_KEY = "azure_key"
    """Azure key: of a storage account, an application or a service."""
    WEBHOOK = "webhook"
    """Address by which anybody may post to a chat (Slack, WeCom, DingTalk, Feishu)."""
    URL_PASSWORD = "url_password"  # noqa: S105 - a kind's name
    """Password in the user part of a URL."""
    PRIVATE_KEY = "private_key"
    """Private key in PEM form."""
    JWT = "jwt"
    """JSON web token."""
    BEARER_TOKEN = "bearer_token"  # noqa: S105 - a kind's name
    """Opaque token after ``Bearer``."""
    GENERIC = "generic"
    """Password or key named by the words before it."""
