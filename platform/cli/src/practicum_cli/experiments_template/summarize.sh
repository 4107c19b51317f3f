#!/usr/bin/env bash
# Aggregates every run under experiments/ to RESULTS.md, RESULTS.csv and RESULTS.html.
set -euo pipefail
cd "$(dirname "$0")"
for format in md csv html; do
  practicum summarize experiments --format "$format" --output "experiments/RESULTS.$format"
done
