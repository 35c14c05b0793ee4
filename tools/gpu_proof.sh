#!/usr/bin/env bash
# GPU proof: on one GPU of 80 GB and in 12 minutes, that graphs, training, resuming and decoding work as they do on CPUs.
#
#     OUT=folder tools/gpu_proof.sh [--miniature] [--only PART] [--minutes 12]
#
# Writes gpu-proof.json and gpu-proof.txt into OUT. The parts are in training/proof; a part that is done is not done
# again. Exit code: 0 if every part passed, 1 if one did not, 2 if it cannot begin.
set -euo pipefail

say() { echo "gpu proof: $*" >&2; }
fail() { say "$*"; exit 2; }

say "needs PyTorch with CUDA, one free NVIDIA GPU of 80 GB, this package with its training parts (tools/setup.sh train),"
say "20 GB of memory and 1 GB of disk, and no network; without a GPU every part runs small on the CPU."
[ -n "${OUT:-}" ] || fail "OUT is not set; say where to write, as in 'OUT=proof tools/gpu_proof.sh'."
out=$(realpath -m "$OUT")
cd "$(dirname "${BASH_SOURCE[0]}")/.."

python=${PYTHON:-.venv/bin/python}
command -v "$python" >/dev/null || fail "'$python' is not there; run tools/setup.sh train, or name another with PYTHON=."
absent=$("$python" -c '
from importlib.util import find_spec
print(*(name for name in ("torch", "deepspeed", "lhotse", "audio_interaction_ros") if find_spec(name) is None))') ||
  fail "'$python' does not run; run tools/setup.sh train, or name another with PYTHON=."
[ -z "$absent" ] || fail "'$python' lacks $absent; run tools/setup.sh train."

exec "$python" -m training prove --out "$out" "$@"
