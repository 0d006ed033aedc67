#!/usr/bin/env bash
# Asks ComfyUI to end, as Ctrl-C would: it finishes its writes and closes its database.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

ask_to_end INT
