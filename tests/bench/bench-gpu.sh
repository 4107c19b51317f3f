#!/usr/bin/env bash
# Fine-tuning on a GPU beside a bare TRL script. PRACTICUM_BENCH_PACKAGES names a folder of packages (gpu-packages.sh)
# for a machine that has torch and no package index; without it the environment `train` is used.
set -euo pipefail
cd "$(dirname "$0")/../.."
# Checkpoints of 6 GB stay in memory where there is plenty: the disk is not what is measured.
if [ "$(df --output=avail -k /dev/shm | tail -1)" -gt $((32 << 20)) ]; then
  export TMPDIR=/dev/shm
fi
export HF_HUB_OFFLINE=1 PYTHONPATH=platform/core/src:platform/runtime/src:jobs/src
if [ -n "${PRACTICUM_BENCH_PACKAGES:-}" ]; then
  PYTHONPATH=$PRACTICUM_BENCH_PACKAGES:$PYTHONPATH exec "${PYTHON:-python3}" tests/bench/bench_gpu.py "$@"
fi
exec "$(tools/ensure-env.sh train)/bin/python" tests/bench/bench_gpu.py "$@"
