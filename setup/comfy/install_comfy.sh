#!/usr/bin/env bash
# Installs ComfyUI with its custom nodes.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/nodes.sh"
REPOSITORY=https://github.com/Comfy-Org/ComfyUI

need_program git curl
steps 6
wanted=$(wanted_nodes)
begin_install

step "Getting ComfyUI"
version=${EASEL_VERSION:-$(newest_release "$REPOSITORY")}
get_repository "$REPOSITORY" "$APP" "$version" || die "ComfyUI could not be got."

step "Making its Python environment"
make_environment "$APP/venv"

step "Installing PyTorch"
torch "$APP/venv" torch torchvision torchaudio || die "PyTorch could not be installed."

step "Installing the packages of ComfyUI"
packages "$APP/venv" --requirement "$APP/requirements.txt" || die "The packages of ComfyUI could not be installed."
if has_gpu; then
  packages "$APP/venv" sageattention || warn "SageAttention could not be installed; ComfyUI runs without it"
fi

step "Installing custom nodes"
install_nodes <<<"$wanted"

step "Looking whether it can start"
"$APP/venv/bin/python" -c 'import torch, sys; print("PyTorch", torch.__version__, "Python", sys.version.split()[0])'
# The two can come from one index for different releases of CUDA.
"$APP/venv/bin/python" -c 'import torchaudio' ||
  warn "torchaudio cannot be loaded beside this PyTorch (the line above says why). ComfyUI runs, without its nodes for audio. EASEL_TORCH_INDEX names an index where both go together."

finish "$version" "$APP"
[ "${#FAILED_NODES[@]}" -eq 0 ] || warn "ComfyUI is installed; these nodes are not: ${FAILED_NODES[*]}. The tool \"Custom nodes\" can try them again."
