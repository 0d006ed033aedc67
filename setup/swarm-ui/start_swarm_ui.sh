#!/usr/bin/env bash
# Runs SwarmUI on the port that Easel chose, with its settings and data in the program's folder.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/dotnet.sh"

need EASEL_HOST EASEL_PORT
ready
export ASPNETCORE_ENVIRONMENT=Production

# Exit code 42 asks to be started again, after a change of settings.
cd "$APP"
child=''
trap '[ -z "$child" ] || kill -TERM "$child" 2>/dev/null; wait || true; exit 0' TERM INT
while :; do
  dotnet src/bin/live_release/SwarmUI.dll --launch_mode none --host "$EASEL_HOST" --port "$EASEL_PORT" &
  child=$!
  code=0
  wait "$child" || code=$?
  [ "$code" -eq 42 ] || exit "$code"
done
