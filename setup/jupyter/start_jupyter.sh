#!/usr/bin/env bash
# Runs JupyterLab on the port that Easel chose. Whoever has not the token of this start gets nothing.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

need EASEL_HOST EASEL_PORT EASEL_TOKEN
ready

export JUPYTER_CONFIG_DIR=$EASEL_TOOL_DIR/settings JUPYTER_DATA_DIR=$EASEL_TOOL_DIR/data
export JUPYTER_RUNTIME_DIR=$EASEL_TOOL_DIR/runtime IPYTHONDIR=$EASEL_TOOL_DIR/settings/ipython
# The token never is an argument: those are seen by everybody on the machine.
export JUPYTER_TOKEN=$EASEL_TOKEN
work=$EASEL_TOOL_DIR/work
mkdir -p "$work" "$JUPYTER_CONFIG_DIR" "$JUPYTER_DATA_DIR"
# Left by a start that was killed; it would only mislead.
rm -rf "$JUPYTER_RUNTIME_DIR"
mkdir -p "$JUPYTER_RUNTIME_DIR"

# The address under which browsers come, through the gate.
origin=''
[ -z "${EASEL_BASE_URL:-}" ] || origin=$(sed -E 's|^(https?://[^/]+).*$|\1|' <<<"$EASEL_BASE_URL")

# A kernel has no use for what only the scripts need.
unset EASEL_TOKEN EASEL_PICKS EASEL_BACKUP EASEL_SETUP
cd "$work"
root=()
[ "$(id -u)" -ne 0 ] || root=(--allow-root)
exec "$APP/venv/bin/python" -m jupyterlab --no-browser "${root[@]}" \
  --ServerApp.ip="$EASEL_HOST" --ServerApp.port="$EASEL_PORT" --ServerApp.port_retries=0 \
  --ServerApp.base_url=/ --ServerApp.root_dir="$work" --ServerApp.allow_origin="$origin" \
  --ServerApp.allow_remote_access=True --ServerApp.quit_button=False --IdentityProvider.cookie_options='{"SameSite": "Lax"}'
