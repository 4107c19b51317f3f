"""Options of stages that send requests to a server of OpenAI's API: whose it is, its model, and the key."""

from __future__ import annotations

from pydantic import Field

from practicum_core.stages.base import StageConfig
from practicum_core.stages.server_addresses import is_own_address


class ServerAccessConfig(StageConfig):
    """Which model of a server is asked, and with which key."""

    i_own_this_server: bool = Field(
        default=False, description="Allows a server that is neither on this machine nor in the own cluster."
    )
    served_model: str = Field(
        default="", description="Name of the model at the server; the first one listed without it."
    )
    key_variable: str | None = Field(
        default=None, pattern=r"^[A-Za-z_][A-Za-z0-9_]*$", description="Environment variable that holds the key."
    )
    key_file: str | None = Field(default=None, description="File that holds the key.")
    own_key: bool = Field(
        default=False, description="Make a key for the gateway of this run, and revoke it at the end."
    )

    def check_access(self, urls: tuple[str, ...], danger: str) -> None:
        """Refuse foreign servers and two keys.

        Args:
            urls: Addresses that requests or faults go to; empty ones are none.
            danger: Why that needs a server of one's own.

        Raises:
            ValueError: An address is neither of this machine nor of the own cluster, or there are two keys.
        """
        foreign = [url for url in urls if url and not is_own_address(url)]
        if foreign and not self.i_own_this_server:
            raise ValueError(
                f"{foreign[0]} is neither on this machine nor in the own cluster, and {danger}: set "
                "i_own_this_server (--i-own-this-server) if it is yours"
            )
        if sum((self.key_variable is not None, self.key_file is not None, self.own_key)) > 1:
            raise ValueError("key_variable, key_file and own_key: give one of them")
