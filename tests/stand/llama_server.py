"""A GGUF file in llama.cpp's server, as a process of the environment ``serve``: prints its address, then waits."""

from __future__ import annotations

import sys
import time

import xllamacpp


def main() -> None:
    options = xllamacpp.CommonParams()
    options.model.path = sys.argv[1]
    options.n_parallel = 2
    options.n_ctx = 1024
    options.warmup = False
    options.verbosity = 0
    server = xllamacpp.Server(options)
    sys.stdout.write(f"{server.listening_address}\n")
    sys.stdout.flush()
    while sys.stdin.readable():
        time.sleep(0.2)


if __name__ == "__main__":
    main()
