"""The budget of the gateway's one retry loop: retries are a share of the requests that are open. Pure.

As in Envoy (``retry_budget``): when everything fails, retries must not multiply the load. Only a request is tried again
of whose answer no byte was sent to the client.
"""

from __future__ import annotations

from dataclasses import dataclass


@dataclass
class RetryBudget:
    """Retries that are under way at the same time.

    Args:
        share: Of the open requests.
        minimum: Retries that are always allowed.
        num_open: Requests that are open now.
        num_retries: Retries that are under way now.
    """

    share: float = 0.2
    minimum: int = 3
    num_open: int = 0
    num_retries: int = 0

    def acquire(self) -> bool:
        """Begin a retry, where the budget has one.

        >>> budget = RetryBudget(share=0.2, minimum=1, num_open=10)
        >>> [budget.acquire() for _ in range(3)]
        [True, True, False]
        """
        if self.num_retries >= max(self.minimum, int(self.share * self.num_open)):
            return False
        self.num_retries += 1
        return True

    def release(self) -> None:
        """End a retry."""
        self.num_retries -= 1
