#!/usr/bin/env bash
# Installs the custom nodes that were picked, or all of the list.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/nodes.sh"

need_program git
ready
wanted=$(wanted_nodes)
steps 1
step "Installing custom nodes"
install_nodes <<<"$wanted"
[ "${#FAILED_NODES[@]}" -eq 0 ] || die "These nodes could not be installed: ${FAILED_NODES[*]}"
