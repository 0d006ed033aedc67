#!/usr/bin/env bash
# Python environments, by uv where there is one and by venv and pip elsewhere. Sourced by easel.sh.

if [ -n "${EASEL_UV:-}" ]; then
  [ -x "$EASEL_UV" ] || misconfigured "EASEL_UV is $EASEL_UV, which cannot be run"
fi

# Versions of Python that PyTorch and the tools have packages for.
PYTHON_VERSIONS='>=3.10,<3.14'

# Makes the environment $1. One that is whole stays.
make_environment() {
  local folder=$1
  if [ -f "$folder/.whole" ] && "$folder/bin/python" -c '' 2>/dev/null; then
    return 0
  fi
  rm -rf "$folder"
  if [ -n "${EASEL_UV:-}" ]; then
    # With the machine's Python where that will do, with one of uv's own elsewhere.
    "$EASEL_UV" venv --quiet --seed --python-preference system --python "$PYTHON_VERSIONS" "$folder"
  else
    need_program python3
    python3 -m venv "$folder" || misconfigured "python3 cannot make environments; Debian's package is python3-venv"
  fi
  touch "$folder/.whole"
}

# Installs into the environment $1; the rest is as pip takes it.
packages() {
  local python=$1/bin/python
  shift
  if [ -n "${EASEL_UV:-}" ]; then
    "$EASEL_UV" pip install --python "$python" "$@"
  else
    "$python" -m pip install "$@"
  fi
}

# What is installed in the environment $1, exactly.
frozen() {
  if [ -n "${EASEL_UV:-}" ]; then
    "$EASEL_UV" pip freeze --quiet --python "$1/bin/python"
  else
    "$1/bin/python" -m pip freeze --all
  fi
}

# Takes the environment $1 back to what the file $2 lists. PyTorch for the CPU is in no other index than its own.
thaw() {
  local index
  index=$(torch_index)
  if [ -n "${EASEL_UV:-}" ]; then
    "$EASEL_UV" pip sync --python "$1/bin/python" ${index:+--extra-index-url "$index" --index-strategy unsafe-best-match} "$2"
  else
    "$1/bin/python" -m pip install --no-deps ${index:+--extra-index-url "$index"} --requirement "$2"
  fi
}

# Makes the environment $1 anew with what the file $2 lists: after an interruption, files of a package may be missing
# that its own list has.
renew() {
  rm -f "$1/.whole"
  make_environment "$1"
  thaw "$1" "$2"
}

# The version of package $2 in the environment $1.
version_of() { "$1/bin/python" -c 'import importlib.metadata as m, sys; print(m.version(sys.argv[1]))' "$2"; }

# The index that PyTorch is installed from, or nothing for the ordinary one. The ordinary packages carry CUDA, some
# gigabytes that a machine without a card has no use for.
torch_index() {
  if [ -n "${EASEL_TORCH_INDEX:-}" ]; then
    printf '%s\n' "$EASEL_TORCH_INDEX"
  elif ! has_gpu && [ -z "${UV_INDEX_URL:-}${UV_DEFAULT_INDEX:-}${PIP_INDEX_URL:-}" ]; then
    printf 'https://download.pytorch.org/whl/cpu\n'
  fi
}

# Installs PyTorch into the environment $1: packages $2…, for the card or for the CPU.
torch() {
  local environment=$1 index
  shift
  index=$(torch_index)
  packages "$environment" ${index:+--index-url "$index"} "$@"
}

# Which versions of PyTorch an environment has: a constraint for whatever else is installed into it.
HELD_TORCH=$XDG_CACHE_HOME/held-torch.txt
hold_torch() {
  frozen "$1" | grep -iE '^(torch|torchvision|torchaudio)==' >"$HELD_TORCH" || true
}

# A Python that reads TOML: 3.11 or newer.
toml_python() {
  if python3 -c 'import tomllib' 2>/dev/null; then
    echo python3
  elif [ -n "${EASEL_UV:-}" ]; then
    "$EASEL_UV" python install --quiet 3.12 && "$EASEL_UV" python find 3.12
  else
    misconfigured "Python 3.11 or newer is missing, and so is uv, which could bring one"
  fi
}
