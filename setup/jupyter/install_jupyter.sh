#!/usr/bin/env bash
# Installs JupyterLab from PyPI into an environment of its own.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

steps 3
begin_install

step "Making its Python environment"
mkdir -p "$APP"
make_environment "$APP/venv"

step "Installing JupyterLab"
packages "$APP/venv" "jupyterlab${EASEL_VERSION:+==$EASEL_VERSION}"

step "Looking whether it can start"
"$APP/venv/bin/python" -m jupyterlab --version

version=$(version_of "$APP/venv" jupyterlab)
finish "$version"
