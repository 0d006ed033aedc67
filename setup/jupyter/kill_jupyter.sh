#!/usr/bin/env bash
# Asks JupyterLab to end: it shuts its kernels and terminals down first.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

ask_to_end TERM
