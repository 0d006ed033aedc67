#!/usr/bin/env bash
# Asks AI-Toolkit to end; its start script passes that on to the worker and the pages.
source "$(dirname "${BASH_SOURCE[0]}")/../lib/easel.sh"

ask_to_end TERM
