#!/usr/bin/env bash
# Brings custom nodes up to date: those that were picked, or all of the list that are there.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/nodes.sh"

need_program git
ready
wanted=$(wanted_nodes)
steps 1
step "Updating custom nodes"
present=$(while read -r url want; do
  [ ! -d "$NODES/$(repository_name "$url")" ] || printf '%s %s\n' "$url" "$want"
done <<<"$wanted")
[ -n "$present" ] || die "None of these nodes is installed."
install_nodes <<<"$present"
[ "${#FAILED_NODES[@]}" -eq 0 ] || die "These nodes are not up to date: ${FAILED_NODES[*]}"
