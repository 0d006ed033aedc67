#!/usr/bin/env bash
# Makes ComfyUI anew, with the nodes of the list that it has; models, pictures and settings stay. The old custom nodes stay
# in the backup.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/nodes.sh"

need_program git
if [ -z "${EASEL_PICKS:-}" ]; then
  EASEL_PICKS=$(present_nodes)
  EASEL_PICKS=${EASEL_PICKS:-$NO_NODES}
  export EASEL_PICKS
fi
reinstall "$(dirname "${BASH_SOURCE[0]}")/install_comfy.sh" models output input user -- custom_nodes
