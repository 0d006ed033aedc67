#!/usr/bin/env bash
# Asks SwarmUI to end; its start script passes that on, and SwarmUI ends its back-ends.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

ask_to_end TERM
