#!/usr/bin/env bash
# Custom nodes of ComfyUI. Sourced after easel.sh by the scripts of comfy and custom-nodes.

NODES_FILE=$LIB/../comfy/nodes.txt
NODES=$APP/custom_nodes
# In EASEL_PICKS: none of them, since empty means all.
NO_NODES=-

# The lines "URL REF" of the nodes that are wanted: what EASEL_PICKS names, by folder name or as a URL of its own, or all.
wanted_nodes() {
  local pick line found listed
  [ "${EASEL_PICKS:-}" != "$NO_NODES" ] || return 0
  listed=$(sed -e 's/#.*//' -e '/^[[:space:]]*$/d' "$NODES_FILE")
  if [ -z "${EASEL_PICKS:-}" ]; then
    printf '%s\n' "$listed"
    return 0
  fi
  while IFS= read -r pick; do
    [ -n "$pick" ] || continue
    found=''
    while IFS= read -r line; do
      [ "$(repository_name "${line%% *}")" != "$pick" ] || found=$line
    done <<<"$listed"
    if [ -z "$found" ]; then
      is_repository "$pick" || misconfigured "\"$pick\" is neither in nodes.txt nor the https address of a repository"
      found=$pick
    fi
    printf '%s\n' "$found"
  done <<<"$EASEL_PICKS"
}

# The names of the nodes of the list that are there, or were before a reinstallation that was interrupted put them aside.
present_nodes() {
  local url rest folder folders=("$NODES")
  [ "$(interrupted)" != reinstall ] || folders+=("$(value "$CHANGING" backup)/custom_nodes")
  while read -r url rest; do
    for folder in "${folders[@]}"; do
      [ ! -d "$folder/$(repository_name "$url")" ] || { repository_name "$url" && break; }
    done
  done < <(EASEL_PICKS='' wanted_nodes)
}

# Installs or updates the nodes of the lines on standard input. One that fails does not keep the others from being
# installed; FAILED_NODES names it.
install_nodes() {
  local url want name
  FAILED_NODES=()
  mkdir -p "$NODES"
  # What a killed run left of a clone.
  rm -rf "$NODES"/*.part
  hold_torch "$APP/venv"
  while read -r url want; do
    [ -n "$url" ] || continue
    name=$(repository_name "$url")
    printf '%s\n' "$name"
    install_node "$url" "$NODES/$name" "${want:-HEAD}" </dev/null || FAILED_NODES+=("$name")
  done
}

# One node: its repository, its packages, its own installer. PyTorch stays as it is.
install_node() {
  local url=$1 folder=$2 want=$3
  get_repository "$url" "$folder" "$want" || return 1
  # What was installed for this commit need not be installed again.
  [ "$(cat "$folder/.git/easel-installed" 2>/dev/null)" != "$(commit_of "$folder")" ] || return 0
  if [ -f "$folder/requirements.txt" ]; then
    packages "$APP/venv" --constraint "$HELD_TORCH" --requirement "$folder/requirements.txt" || return 1
  fi
  if [ -f "$folder/install.py" ]; then
    (cd "$folder" && "$APP/venv/bin/python" install.py) || return 1
  fi
  put "$folder/.git/easel-installed" commit_of "$folder"
}
