#!/usr/bin/env bash
# For RunPod's own templates (PyTorch and the like): copy it to /post_start.sh in an image made from one. Their start.sh
# runs it in the foreground under `set -e` and goes on to its own work only when it returns, so it starts Easel in the
# background and always succeeds: a studio that does not start must not take SSH along. Easel's own image needs none of this.
set -u

# Not by a variable: Easel refuses EASEL_* names that it does not know.
program=${1:-/workspace/easel/bin/easel}

# start.sh hands its environment on; a shell that was started otherwise finds it here.
if [ -z "${RUNPOD_POD_ID:-}" ] && [ -r /etc/rp_environment ]; then
  set -a
  # shellcheck disable=SC1091 # written by the pod at its start
  . /etc/rp_environment
  set +a
fi

if [ ! -x "$program" ]; then
  echo "easel: $program is not there; put the program there"
  exit 0
fi
# A session of its own: nothing that start.sh's terminal is told reaches it. `init` reaps what its tools leave behind. What it
# prints stays the pod's log and goes into no file: the studio key, said once, is among it.
setsid "$program" init -- "$program" serve </dev/null &
echo "easel: started as process $!; the studio key is said below, once"
exit 0
