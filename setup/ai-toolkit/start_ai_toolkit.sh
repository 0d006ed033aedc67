#!/usr/bin/env bash
# Runs AI-Toolkit: its pages on the port that Easel chose, and the worker that trains. When one of them ends, both do.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"
source "$LIB/database.sh"

need EASEL_HOST EASEL_PORT EASEL_TOKEN
ready

# Its own file server would listen on every address of the machine; the pages serve files too.
export AI_TOOLKIT_AUTH=$EASEL_TOKEN NODE_ENV=production
export PATH=$APP/venv/bin:$PATH
cd "$APP/ui"
node dist/cron/worker.js &
worker=$!
node node_modules/next/dist/bin/next start --hostname "$EASEL_HOST" --port "$EASEL_PORT" &
pages=$!

stop() {
  trap - TERM INT
  kill -TERM "$worker" "$pages" 2>/dev/null || true
  wait || true
}
trap 'stop; exit 0' TERM INT
code=0
wait -n "$worker" "$pages" || code=$?
stop
warn "one of its two processes ended with exit code $code"
exit $((code == 0 ? 1 : code))
