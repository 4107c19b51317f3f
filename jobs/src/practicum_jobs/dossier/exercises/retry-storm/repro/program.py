"""A second-by-second model of a gateway before an engine that fails: how much load reaches the engine."""

from __future__ import annotations

from pathlib import Path

import yaml

from practicum_gateway.retries import RetryBudget


def simulate(config: dict) -> float:
    """Return how many requests reached the engine during the outage for each one that clients sent."""
    budget = RetryBudget(share=config["retry_share"])
    sent = offered = 0
    for _ in range(config["outage_s"]):
        new = config["offered_per_s"]
        offered += new
        budget.num_open = new
        sent += new
        waiting = new  # every request fails, and asks for a retry
        for _ in range(config["max_tries"] - 1):
            began = sum(budget.acquire() for _ in range(waiting))
            sent += began
            for _ in range(min(began, budget.num_retries)):
                budget.release()
            waiting = began
    return sent / offered


if __name__ == "__main__":
    load = simulate(yaml.safe_load(Path("config.yaml").read_text()))
    if load > 2:
        raise AssertionError(f"the engine got {load:.1f} times the load that clients offered")
