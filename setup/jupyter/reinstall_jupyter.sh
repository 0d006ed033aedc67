#!/usr/bin/env bash
# Makes JupyterLab's environment anew. Notebooks and settings lie outside it and are not touched.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

reinstall "$(dirname "${BASH_SOURCE[0]}")/install_jupyter.sh"
