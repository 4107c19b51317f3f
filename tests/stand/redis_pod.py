"""A real Redis in a pod of a student's namespace: Debian's program, in an image derived from the base's."""

from __future__ import annotations

import re
import subprocess
from pathlib import Path

from derived_images import derive_image
from redis_server import require_redis

NAME = "redis"
URL = f"redis://{NAME}:6379/0"
_IMAGE = "localhost/practicum-redis:dev"
_PROGRAM, _LIBRARIES = "/opt/redis/redis-server", "/opt/redis/lib"
_SCRIPT = f"""
import os
options = ["--port", "6379", "--bind", "0.0.0.0", "--protected-mode", "no", "--save", "", "--appendonly", "no"]
os.execve({_PROGRAM!r}, [{_PROGRAM!r}, *options], os.environ | {{"LD_LIBRARY_PATH": {_LIBRARIES!r}}})
"""
_LIBRARY = re.compile(r"=> (/\S+/(?!libc\.|libm\.)(\S+)) ")


def start_redis(school, student):
    """Start Redis, which keeps nothing on disk, with a Service of that name."""
    program = require_redis()
    needed = subprocess.run(["ldd", program], check=True, capture_output=True, text=True).stdout
    files = {Path(path).resolve(): f"{_LIBRARIES}/{name}" for path, name in _LIBRARY.findall(needed)}
    school.cluster.ship(derive_image("base", _IMAGE, files | {Path(program).resolve(): _PROGRAM}))
    school.run_pod(student, NAME, _SCRIPT, image=_IMAGE, labels={"app": NAME})
    spec = {"selector": {"app": NAME}, "ports": [{"port": 6379}]}
    school.api.apply({"apiVersion": "v1", "kind": "Service", "metadata": {"name": NAME}, "spec": spec}, student)
    school.wait_pod(student, NAME, "Running")
