#!/usr/bin/env bash
# The .NET SDK, from Microsoft's list of releases, checked by the SHA-512 that it states. Sourced after easel.sh.

DOTNET=$EASEL_TOOL_DIR/dotnet
# Where the list of releases is; a mirror may stand in.
DOTNET_FEED=${EASEL_DOTNET_FEED:-https://builds.dotnet.microsoft.com/dotnet}
export DOTNET_ROOT=$DOTNET DOTNET_CLI_TELEMETRY_OPTOUT=1 DOTNET_NOLOGO=1 DOTNET_SYSTEM_GLOBALIZATION_INVARIANT=1
export NUGET_PACKAGES=$XDG_CACHE_HOME/nuget PATH=$DOTNET:$PATH

# Installs the newest SDK of the channel $1 (8.0), unless it is there.
install_dotnet() {
  local channel=$1 list=$XDG_CACHE_HOME/dotnet-releases.json version url sha512 machine archive
  need_program python3 tar
  case $(uname -m) in
    x86_64) machine=linux-x64 ;;
    aarch64) machine=linux-arm64 ;;
    *) misconfigured "there is no .NET for $(uname -m)" ;;
  esac
  rm -f "$list"
  fetch "$DOTNET_FEED/release-metadata/$channel/releases.json" "$list" || die "The list of .NET releases could not be got."
  read -r version url sha512 < <(python3 - "$list" "$machine" <<'PYTHON'
import json, sys
with open(sys.argv[1]) as file:
    release = json.load(file)["releases"][0]
for file in release["sdk"]["files"]:
    if file["rid"] == sys.argv[2] and file["name"].endswith(".tar.gz"):
        print(release["sdk"]["version"], file["url"], file["hash"])
PYTHON
  ) || die "The list of .NET releases is not as it was."
  [ "$(cat "$DOTNET/.easel-version" 2>/dev/null)" != "$version" ] || return 0
  archive=$XDG_CACHE_HOME/dotnet-$version.tar.gz
  [ -z "${EASEL_DOTNET_FEED:-}" ] || url=$DOTNET_FEED/${url##*/dotnet/}
  [ -f "$archive" ] || fetch "$url" "$archive" || die ".NET could not be got."
  if [ "$(sha512sum <"$archive" | cut -d' ' -f1)" != "${sha512,,}" ]; then
    rm -f "$archive"
    die "What came is not the .NET that its makers list; nothing was installed."
  fi
  rm -rf "$DOTNET.part"
  mkdir -p "$DOTNET.part"
  tar -xzf "$archive" -C "$DOTNET.part" --no-same-owner
  printf '%s\n' "$version" >"$DOTNET.part/.easel-version"
  rm -rf "$DOTNET"
  mv -T "$DOTNET.part" "$DOTNET"
  rm -f "$archive"
}

# Builds SwarmUI for the commit that is there. A build appears whole or not at all.
build_swarm() {
  local release=$APP/src/bin/live_release
  rm -rf "$release.part"
  (cd "$APP" && dotnet build src/SwarmUI.csproj --configuration Release --output "$release.part") || return 1
  rm -rf "$release"
  mv -T "$release.part" "$release"
  # Its own launcher looks here before it would build again.
  put "$APP/src/bin/last_build" commit_of "$APP"
}
