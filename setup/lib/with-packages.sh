#!/usr/bin/env bash
# Installs the Debian packages of DEBIAN_PACKAGES, one a line, then becomes the script that is given, as the user and group of
# RUN_AS where they are named. Easel runs it, as root where it is root; a package that is there already costs nothing.
set -euo pipefail

missing=()
while IFS= read -r package; do
  [ -n "$package" ] || continue
  status=$(dpkg-query -W -f '${db:Status-Status}' "$package" 2>/dev/null || true)
  [ "$status" = installed ] || missing+=("$package")
done <<<"${DEBIAN_PACKAGES:-}"

if [ ${#missing[@]} -gt 0 ]; then
  if [ "$(id -u)" -ne 0 ]; then
    echo "::warn These Debian packages are missing, and only root may install them: ${missing[*]}"
  else
    echo "Installing Debian packages: ${missing[*]}"
    export DEBIAN_FRONTEND=noninteractive
    # Another apt may be at work; it is waited for. Its root's home is not the tool's.
    HOME=/root apt-get -o DPkg::Lock::Timeout=300 update -q
    HOME=/root apt-get -o DPkg::Lock::Timeout=300 install -q -y --no-install-recommends "${missing[@]}"
  fi
fi
run_as=${RUN_AS:-}
unset DEBIAN_PACKAGES RUN_AS
[ -z "$run_as" ] || exec setpriv --reuid "${run_as%:*}" --regid "${run_as#*:}" --clear-groups -- bash "$@"
exec bash "$@"
