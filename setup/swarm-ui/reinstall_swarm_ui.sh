#!/usr/bin/env bash
# Makes SwarmUI anew; models, pictures, settings and its own back-end stay.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

need_program git curl
reinstall "$(dirname "${BASH_SOURCE[0]}")/install_swarm_ui.sh" Models Output Data dlbackend src/Extensions
