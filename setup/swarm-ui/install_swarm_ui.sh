#!/usr/bin/env bash
# Installs SwarmUI: .NET, which it is built with, and the program itself. Its own pages install its back-end.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/dotnet.sh"

need_program git curl
steps 4
begin_install

step "Installing .NET"
install_dotnet 8.0

step "Getting SwarmUI"
get_repository https://github.com/mcmonkeyprojects/SwarmUI "$APP" "${EASEL_VERSION:-HEAD}" || die "SwarmUI could not be got."

step "Building SwarmUI"
build_swarm || die "SwarmUI could not be built."

step "Telling it where the studio's models are"
if [ -n "${EASEL_MODELS:-}" ] && [ ! -e "$APP/Data/Settings.fds" ]; then
  mkdir -p "$APP/Data"
  put "$APP/Data/Settings.fds" \
    printf 'Paths:\n\tModelRoot: Models;%s\n\tSDModelFolder: Stable-Diffusion;checkpoints\n\tSDLoraFolder: Lora;loras\n\tSDVAEFolder: VAE;vae\n' \
    "$EASEL_MODELS"
fi

finish "${EASEL_VERSION:-HEAD}" "$APP"
