#!/usr/bin/env bash
# Brings AI-Toolkit to its newest commit, or EASEL_VERSION. Goes back to the old one when that fails.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

need_program git node npm
steps 4

# Also after going back: pages and database belong to the commit.
build_pages() (
  cd "$APP/ui"
  npm ci --no-audit --no-fund && npm run build && npm run update_db
)
AFTER_UNDO=build_pages
begin_update

step "Getting the new AI-Toolkit"
get_repository https://github.com/ostris/ai-toolkit "$APP" "${EASEL_VERSION:-HEAD}" || die "AI-Toolkit could not be got."

step "Installing its packages"
hold_torch "$APP/venv"
packages "$APP/venv" --upgrade --constraint "$HELD_TORCH" --requirement "$APP/requirements.txt"

step "Building its pages"
build_pages || die "Its pages could not be built."

step "Looking whether it can start"
"$APP/venv/bin/python" -c 'import torch; print("PyTorch", torch.__version__)'

finish "${EASEL_VERSION:-HEAD}" "$APP"
