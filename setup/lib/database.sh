#!/usr/bin/env bash
# AI-Toolkit's database, which its pages and its worker share. Sourced after easel.sh by the scripts that may be the ones
# to end a reinstallation.

# One that comes back is as old as the program that wrote it: the new one wants its tables brought up to date.
update_database() (cd "$APP/ui" && npm run update_db)
# shellcheck disable=SC2034 # called by bring_back
AFTER_BACK=update_database
