"""The application of a step that Ray Serve runs: what a RayService imports in the pods of its cluster.

It prepares the run directory as an agent does and resolves the model; the engine's adapter does the rest. Replicas of
Ray Serve leave no record: they are stopped by Ray.
"""

from __future__ import annotations

import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError
from practicum_core.machine import get_cache_dir
from practicum_core.reports import WORKSPACE
from practicum_core.stage_process import EXPERIMENTS_VARIABLE
from practicum_core.stages.serve import ServeConfig
from practicum_jobs.adapters.engine_server import ServerSettings
from practicum_jobs.adapters.ray_serving import build_application
from practicum_jobs.agent.assignment import check_assignment, read_pod_step
from practicum_jobs.agent.replica import REPLICA_VARIABLE, enter_replica
from practicum_jobs.context import StageContext
from practicum_jobs.models.sources import ensure_model
from practicum_jobs.serve.names import list_served_names


def build(arguments: Mapping[str, Any]) -> Any:  # noqa: ANN401 - Ray's own type
    """Build the application.

    Args:
        arguments: ``fewest``, ``most``, ``requests_per_replica`` and ``num_gpus``, as the RayService says.

    Raises:
        ConfigError: The step serves no model, or its model is not there.
    """
    variables = dict(os.environ)
    step = read_pod_step(variables)
    experiments = Path(variables.get(EXPERIMENTS_VARIABLE, f"{WORKSPACE}/experiments"))
    assignment = enter_replica(check_assignment(step, experiments), variables | {REPLICA_VARIABLE: "ray"})
    config = assignment.config
    if not isinstance(config, ServeConfig):
        raise ConfigError(f"step {step.step} serves no model", "let the controller make the RayService")
    context = StageContext(assignment.run.root, step.stage, step.step, experiments=experiments)
    folder = ensure_model(context.resolve_uri(config.model), get_cache_dir()).path
    settings = ServerSettings(config, folder, list_served_names(config), host="127.0.0.1", port=0)
    scale = {name: int(arguments[name]) for name in ("fewest", "most", "requests_per_replica")}
    return build_application(settings, scale, int(arguments["num_gpus"]))
