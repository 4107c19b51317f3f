"""A GGUF file in llama.cpp's server, as a process of the environment ``serve``: prints its address, ends with stdin."""

from __future__ import annotations

import sys

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
    sys.stdin.read()  # ends when whoever started this process closes it, or is gone
    del server


if __name__ == "__main__":
    main()
