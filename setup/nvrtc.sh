#!/usr/bin/env bash
# Fetches NVIDIA's compiler for GPUs (NVRTC) from PyPI, where it is not there yet, and prints its folder; needs no GPU.
# CUDA_HOME=$(setup/nvrtc.sh) cargo build --release    makes a program whose engine uses NVIDIA GPUs
set -euo pipefail

usage() { echo "usage: setup/nvrtc.sh [FOLDER]    [default: target/tools/nvrtc]" >&2; exit 2; }
[ $# -le 1 ] || usage
case ${1:-} in -*) usage ;; esac
folder=${1:-$(dirname "$0")/../target/tools/nvrtc}

# The last of CUDA 12: its code runs with drivers from 525 on, that of CUDA 13 only from 580 on, which many pods do not have.
packages=(nvidia-cuda-nvrtc-cu12==12.9.86 nvidia-cuda-runtime-cu12==12.9.79)

if [ ! -e "$folder/complete-${packages[0]##*==}" ]; then
  python3 -m venv --clear "$folder" >&2
  "$folder/bin/pip" install --disable-pip-version-check --quiet --no-deps "${packages[@]}" >&2
  # As CUDA's own packages lay it out.
  installed=$(realpath "$folder"/lib/python3.*/site-packages/nvidia)
  mkdir "$folder/cuda"
  ln -s "$installed/cuda_nvrtc/lib" "$folder/cuda/lib64"
  ln -s "$installed/cuda_runtime/include" "$folder/cuda/include"
  touch "$folder/complete-${packages[0]##*==}"
fi
realpath "$folder/cuda"
