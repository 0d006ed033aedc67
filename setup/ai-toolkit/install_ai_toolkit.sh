#!/usr/bin/env bash
# Installs AI-Toolkit: its Python environment, and its pages, which are built here.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

need_program git node npm
steps 6
begin_install

step "Getting AI-Toolkit"
get_repository https://github.com/ostris/ai-toolkit "$APP" "${EASEL_VERSION:-HEAD}" || die "AI-Toolkit could not be got."

step "Making its Python environment"
make_environment "$APP/venv"

step "Installing PyTorch"
torch "$APP/venv" torch torchvision torchaudio

step "Installing its packages"
hold_torch "$APP/venv"
packages "$APP/venv" --constraint "$HELD_TORCH" --requirement "$APP/requirements.txt"

step "Building its pages"
cd "$APP/ui"
npm ci --no-audit --no-fund
npm run build

step "Preparing its database"
npm run update_db

finish "${EASEL_VERSION:-HEAD}" "$APP"
