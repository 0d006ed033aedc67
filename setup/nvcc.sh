#!/usr/bin/env bash
# Fetches NVIDIA's compiler for GPUs from PyPI, where it is not there yet, and prints its path; needs no GPU.
# NVCC=$(setup/nvcc.sh) cargo build --release    makes a program whose engine uses NVIDIA GPUs
set -euo pipefail

usage() { echo "usage: setup/nvcc.sh [FOLDER]    [default: target/tools/nvcc]" >&2; exit 2; }
[ $# -le 1 ] || usage
case ${1:-} in -*) usage ;; esac
folder=${1:-$(dirname "$0")/../target/tools/nvcc}

# Of CUDA 13.0, because older drivers refuse the code of newer compilers.
packages=(
  nvidia-cuda-nvcc==13.0.88 nvidia-cuda-crt==13.0.88 nvidia-nvvm==13.0.88
  nvidia-cuda-runtime==13.0.96 nvidia-cuda-cccl==13.0.85
)
found() { compgen -G "$folder/lib/python3.*/site-packages/nvidia/cu13/bin/nvcc" || true; }

if [ ! -e "$folder/complete" ]; then
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/pip" install --disable-pip-version-check --quiet --no-deps "${packages[@]}" >&2
  touch "$folder/complete"
fi
nvcc=$(found)
[ -n "$nvcc" ] || { echo "nvcc.sh: PyPI's packages have no nvcc where it was expected, below $folder" >&2; exit 1; }
realpath "$nvcc"
