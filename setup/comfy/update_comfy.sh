#!/usr/bin/env bash
# Brings ComfyUI to its newest release, or EASEL_VERSION. Goes back to the old one when that fails.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
REPOSITORY=https://github.com/Comfy-Org/ComfyUI

need_program git
steps 3
begin_update

step "Getting the new ComfyUI"
version=${EASEL_VERSION:-$(newest_release "$REPOSITORY")}
get_repository "$REPOSITORY" "$APP" "$version" || die "ComfyUI could not be got."

step "Installing its packages"
hold_torch "$APP/venv"
packages "$APP/venv" --upgrade --constraint "$HELD_TORCH" --requirement "$APP/requirements.txt" ||
  die "The packages of the new ComfyUI could not be installed."

step "Looking whether it can start"
"$APP/venv/bin/python" -c 'import torch, sys; print("PyTorch", torch.__version__, "Python", sys.version.split()[0])'

finish "$version" "$APP"
