#!/usr/bin/env bash
# What every script of a tool begins with: its surroundings, steps and errors. Sourced, never run.
# setup/README.md is the contract.
set -euo pipefail
shopt -s inherit_errexit
# Nobody else's: every tool may have a user of its own.
umask 077

readonly CONFIG_ERROR=3
LIB=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# A line for Easel. On a terminal it is written over at once with one for people: colour, word, text.
mark() { # file descriptor, kind, what Easel reads, colour, word, what people read
  if [ -t "$1" ]; then
    printf '::%s %s\r\033[2K\033[%sm%s\033[0m %s\n' "$2" "$3" "$4" "$5" "$6" >&"$1"
  else
    printf '::%s %s\n' "$2" "$3" >&"$1"
  fi
}

# What went wrong; trying again may help.
die() {
  mark 2 error "$*" '1;31' error "$*"
  exit 1
}

# What is wrong with the surroundings; trying again would end the same way.
misconfigured() {
  mark 2 error "$*" '1;31' error "$*"
  exit "$CONFIG_ERROR"
}

warn() { mark 2 warn "$*" '33' warning "$*"; }

# How many steps follow. A script that runs inside another one counts on from where that one is.
steps() {
  STEPS_DONE=${STEPS_BEFORE:-0}
  STEPS_ALL=$((STEPS_DONE + $1 + ${STEPS_AFTER:-0}))
}

step() {
  STEPS_DONE=$((STEPS_DONE + 1))
  mark 1 step "$STEPS_DONE/$STEPS_ALL $*" '1;34' '==>' "$STEPS_DONE/$STEPS_ALL $*"
}

# Each named variable must hold something.
need() {
  local name
  for name in "$@"; do
    [ -n "${!name:-}" ] || misconfigured "$name is not set; this script is run by Easel, or by hand with the variables of setup/README.md"
  done
}

# Each named variable must hold a full path.
need_path() {
  local name
  need "$@"
  for name in "$@"; do
    [[ ${!name} == /* ]] || misconfigured "$name must be a full path, not ${!name}"
  done
}

# Each named program must be there.
need_program() {
  local program
  for program in "$@"; do
    command -v "$program" >/dev/null || misconfigured "$program is missing; it is among the Debian packages of this tool"
  done
}

# An NVIDIA card that the driver answers for. EASEL_GPU says it without asking.
has_gpu() {
  case ${EASEL_GPU:-} in
    nvidia) return 0 ;;
    none) return 1 ;;
    '') command -v nvidia-smi >/dev/null && nvidia-smi -L 2>/dev/null | grep -q '^GPU ' ;;
    *) misconfigured "EASEL_GPU must be nvidia or none, not $EASEL_GPU" ;;
  esac
}

# The secret in the variable $1: what is set, or what is typed, unseen, at a terminal.
secret() {
  local name=$1 question=$2
  [ -z "${!name:-}" ] || return 0
  [ -t 0 ] || misconfigured "$question It goes into $name."
  IFS= read -rsp "$question It is not shown: " "${name?}"
  printf '\n'
  [ -n "${!name}" ] || misconfigured "Nothing was entered."
}

# For kill scripts: asks the process that Easel started, and no other, to end, by the signal $1. INT is not heard by
# what was started where INT is ignored; that gets TERM.
ask_to_end() {
  local signal=$1 ignored
  [[ ${EASEL_PID:-} =~ ^([2-9]|[1-9][0-9]+)$ ]] || misconfigured "EASEL_PID must be the id of the process that was started"
  ignored=$(awk '/^SigIgn:/ { print $2 }' "/proc/$EASEL_PID/status" 2>/dev/null) || return 0
  if [ "$signal" = INT ] && (((0x${ignored:-0} & 2) != 0)); then
    signal=TERM
  fi
  kill "-$signal" "$EASEL_PID" 2>/dev/null || [ ! -e "/proc/$EASEL_PID" ] || die "process $EASEL_PID cannot be asked to end"
}

need_path EASEL_WORKSPACE EASEL_TOOL_DIR
mkdir -p "$EASEL_TOOL_DIR"

# shellcheck disable=SC2034 # used by what is sourced below
# The program itself; everything of it that can be made again lies here.
APP=$EASEL_TOOL_DIR/app
# Written last: what is installed. Beside it, while something changes: what, and how to go back.
INSTALLED=$EASEL_TOOL_DIR/.easel-installed
CHANGING=$EASEL_TOOL_DIR/.easel-changing

# Caches and homes on the tool's own volume: they outlive the pod, and hold nothing of other tools.
export HOME=$EASEL_TOOL_DIR/home
export XDG_CACHE_HOME=$EASEL_TOOL_DIR/cache XDG_CONFIG_HOME=$HOME/.config XDG_DATA_HOME=$HOME/.local/share
export UV_CACHE_DIR=$XDG_CACHE_HOME/uv UV_PYTHON_INSTALL_DIR=$EASEL_TOOL_DIR/python
export PIP_CACHE_DIR=$XDG_CACHE_HOME/pip npm_config_cache=$XDG_CACHE_HOME/npm HF_HOME=$XDG_CACHE_HOME/huggingface
export PIP_DISABLE_PIP_VERSION_CHECK=1 PYTHONUNBUFFERED=1 PYTHONNOUSERSITE=1 GIT_TERMINAL_PROMPT=0
mkdir -p "$HOME" "$XDG_CACHE_HOME"

source "$LIB/files.sh"
source "$LIB/git.sh"
source "$LIB/python.sh"
source "$LIB/fetch.sh"
source "$LIB/reinstall.sh"
source "$LIB/change.sh"
