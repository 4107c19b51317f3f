"""Command line and variables of a stage's process, the same on a laptop and in a pod."""

from __future__ import annotations

import functools
import hashlib
import importlib.util
import json
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from practicum_core.errors import ConfigError, PlatformError, Reason
from practicum_core.layout import RunLayout
from practicum_core.stages import list_added_packages
from practicum_core.stages.base import StageConfig, iter_texts

STAGE_PACKAGES = ("practicum_core", "practicum_gateway", "practicum_jobs", "practicum_runtime")
"""Packages that a stage may import; their sources are the code that made a run's numbers.

``practicum_runtime`` is one of them: the agent stands on it, and a stage that starts a process of its own may.
``practicum_gateway`` holds the program of one stage."""
PROGRAM = ("-P", "-m", "practicum_jobs")
RUN_SCHEME = "run:"
"""What begins the address of a file inside the run directory."""
EXPERIMENTS_VARIABLE = "PRACTICUM_EXPERIMENTS"
"""Folder of all runs: the command's default for --out, and told to every stage."""
ENDPOINT_SCHEME = "step:"
"""What begins the address of a server of the same unit: ``step:serve``, with a path after it or without."""
ENDPOINTS_VARIABLE = "PRACTICUM_ENDPOINTS"
"""Addresses of the servers by step, as JSON, told to the process of a step that uses them."""
SERVER_KEY_VARIABLE = "PRACTICUM_SERVER_KEY"
"""A random key that the servers of a run on a laptop ask for, told to them and to the steps that use them: other users
of the machine reach loopback too, and cannot read the environment of a process. No file and no log has it."""
PARENT_VARIABLE = "PRACTICUM_PARENT"
"""Id of the executor's process, told to servers: one whose executor was killed has nobody left to stop it."""
HOST_VARIABLE, PORT_VARIABLE = "PRACTICUM_HOST", "PRACTICUM_PORT"
"""Where the process of a server listens."""
_HUB_SCHEME = "hf://"


def build_stage_arguments(run: RunLayout, stage: str, step: str) -> list[str]:
    """Build the arguments of a stage's program."""
    config = str(run.stage(step).config)
    return [stage, "--config", config, "--run-dir", str(run.root), "--step", step]


def build_stage_variables(
    config: StageConfig, inherited: Mapping[str, str], num_threads: int, cache_dir: Path
) -> dict[str, str]:
    """Build what is set in the environment of every stage, beside what it inherits.

    Waiting threads sleep instead of spinning: beside other work on the same cores, generation took a third of the
    processor time and of the time on the clock.

    Args:
        config: The stage's configuration; where no value names the model hub, the hub is not asked.
        inherited: Environment of the process that starts the stage.
        num_threads: Threads that the stage computes with.
        cache_dir: Folder for models and data that outlive the run.
    """
    variables = {
        "PYTHONHASHSEED": "0",
        "PYTHONUNBUFFERED": "1",
        "PYTHONIOENCODING": "utf-8",  # logs are UTF-8, whatever the terminal is
        "OMP_NUM_THREADS": str(num_threads),
        "OMP_WAIT_POLICY": inherited.get("OMP_WAIT_POLICY", "PASSIVE"),
        "TOKENIZERS_PARALLELISM": "false",
        "HF_HUB_DISABLE_TELEMETRY": "1",
        "RAY_USAGE_STATS_ENABLED": "0",
        "RAY_ACCEL_ENV_VAR_OVERRIDE_ON_ZERO": "0",
        "PRACTICUM_CACHE": str(cache_dir),
    }
    if not any(value.startswith(_HUB_SCHEME) for value in list_texts(config)):
        variables["HF_HUB_OFFLINE"] = "1"
    return variables


def get_endpoint_step(text: str) -> str | None:
    """Return the step whose server a text names; ``None`` for any other text.

    >>> get_endpoint_step("step:serve/v1"), get_endpoint_step("http://127.0.0.1:8000")
    ('serve', None)
    """
    if not text.startswith(ENDPOINT_SCHEME):
        return None
    return text.removeprefix(ENDPOINT_SCHEME).partition("/")[0]


def resolve_endpoints(values: Mapping[str, Any], endpoints: Mapping[str, str]) -> dict[str, Any]:
    """Replace the names of servers in option values by their addresses.

    Raises:
        ConfigError: The address of a server is not known.

    >>> resolve_endpoints({"url": "step:serve/v1", "rate": 2}, {"serve": "http://127.0.0.1:8123"})
    {'url': 'http://127.0.0.1:8123/v1', 'rate': 2}
    >>> resolve_endpoints({"upstreams": [{"url": "step:serve"}]}, {"serve": "http://127.0.0.1:8123"})
    {'upstreams': [{'url': 'http://127.0.0.1:8123'}]}
    """
    return {key: _resolve_value(key, value, endpoints) for key, value in values.items()}


def _resolve_value(key: str, value: Any, endpoints: Mapping[str, str]) -> Any:  # noqa: ANN401 - any value of an option
    if isinstance(value, Mapping):
        return {name: _resolve_value(f"{key}.{name}", one, endpoints) for name, one in value.items()}
    if isinstance(value, list):
        return [_resolve_value(f"{key}[{number}]", one, endpoints) for number, one in enumerate(value)]
    step = get_endpoint_step(value) if isinstance(value, str) else None
    if step is None:
        return value
    if step not in endpoints:
        raise ConfigError(f"{key}: '{value}' names a server whose address is not known", "run it inside its unit")
    return endpoints[step].rstrip("/") + value.removeprefix(f"{ENDPOINT_SCHEME}{step}")


def find_server_key(url: str, variables: Mapping[str, str]) -> str:
    """Return the key of a server of the same run; empty for any other address, to which the key must not be sent.

    >>> told = {"PRACTICUM_ENDPOINTS": '{"serve": "http://127.0.0.1:8123"}', "PRACTICUM_SERVER_KEY": "k"}
    >>> find_server_key("http://127.0.0.1:8123/v1", told), find_server_key("http://127.0.0.1:81230", told)
    ('k', '')
    """
    endpoints = json.loads(variables.get(ENDPOINTS_VARIABLE, "{}")).values()
    is_own = any(f"{url}/".startswith(f"{one.rstrip('/')}/") for one in endpoints)
    return variables.get(SERVER_KEY_VARIABLE, "") if is_own else ""


def list_texts(config: StageConfig) -> list[str]:
    """List the option values that are text, those within others too: addresses and paths are among them."""
    return list(iter_texts(config.model_dump()))


def find_stage_packages() -> dict[str, Path]:
    """Find the folder of each of :data:`STAGE_PACKAGES` and of each package that adds stages, without importing them.

    Raises:
        PlatformError: One is not installed.
    """
    return {name: _find_package(name) for name in (*STAGE_PACKAGES, *list_added_packages())}


def _find_package(name: str) -> Path:
    spec = importlib.util.find_spec(name)
    locations = list(spec.submodule_search_locations or []) if spec else []
    if not locations:
        raise PlatformError(Reason.ENVIRONMENT_MISSING, f"package {name} is not installed", "install practicum again")
    return Path(locations[0]).resolve()


@functools.cache
def hash_stage_sources() -> str:
    """Return the SHA-256 over every file of the packages that stages run, as this process would import them."""
    return hash_sources(find_stage_packages())


def hash_sources(packages: Mapping[str, Path]) -> str:
    """Return the SHA-256 over every file of packages.

    Args:
        packages: Name of each package and its folder; the name stands in the hash, the folder does not.
    """
    digest = hashlib.sha256()
    for package, root in packages.items():
        files = sorted(path for path in root.rglob("*") if path.is_file() and "__pycache__" not in path.parts)
        for path in files:
            content = hashlib.sha256(path.read_bytes()).hexdigest()
            digest.update(f"{content}  {package}/{path.relative_to(root)}\n".encode())
    return digest.hexdigest()
