#!/usr/bin/env bash
# Brings SwarmUI to its newest commit, or EASEL_VERSION. Goes back to the old one when that fails.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/dotnet.sh"

need_program git curl
steps 3
AFTER_UNDO=build_swarm
begin_update

step "Looking for a newer .NET"
install_dotnet 8.0

step "Getting the new SwarmUI"
get_repository https://github.com/mcmonkeyprojects/SwarmUI "$APP" "${EASEL_VERSION:-HEAD}" || die "SwarmUI could not be got."

step "Building SwarmUI"
build_swarm || die "SwarmUI could not be built."

finish "${EASEL_VERSION:-HEAD}" "$APP"
