#!/usr/bin/env bash
# Brings JupyterLab to its newest version, or EASEL_VERSION. Goes back to the old one when that fails.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

steps 2
begin_update

step "Installing the new JupyterLab"
packages "$APP/venv" --upgrade "jupyterlab${EASEL_VERSION:+==$EASEL_VERSION}"

step "Looking whether it can start"
"$APP/venv/bin/python" -m jupyterlab --version

version=$(version_of "$APP/venv" jupyterlab)
finish "$version"
