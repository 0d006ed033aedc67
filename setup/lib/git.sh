#!/usr/bin/env bash
# Repositories: the commit that is wanted, without losing what somebody changed by hand. Sourced by easel.sh.
# These functions say by their exit code whether they worked, so that a caller may go on with other repositories.

# A mirror stands in for github.com, for git itself and for whatever calls git.
if [ -n "${EASEL_GIT_MIRROR:-}" ]; then
  export GIT_CONFIG_COUNT=1
  export GIT_CONFIG_KEY_0="url.${EASEL_GIT_MIRROR%/}/.insteadOf" GIT_CONFIG_VALUE_0=https://github.com/
fi

# Is $1 a URL that a repository may come from? No option, no local path, no transport that runs programs.
is_repository() { [[ $1 =~ ^https://[A-Za-z0-9.-]+(:[0-9]+)?(/[A-Za-z0-9._~-]+)+$ && $1 != */.* ]]; }

# The newest release of a repository: its highest tag like v1.2.3, or HEAD where it has none.
newest_release() {
  local tags
  tags=$(git ls-remote --tags --refs --sort=-v:refname -- "$1") || return 1
  tags=$(awk '{ sub("refs/tags/", "", $2); if ($2 ~ /^v?[0-9]+(\.[0-9]+)+$/) { print $2; exit } }' <<<"$tags")
  printf '%s\n' "${tags:-HEAD}"
}

# The folder name of a repository's URL.
repository_name() { basename "${1%/}" .git; }

# What version to show for commit, tag or branch $1 that was got into $2.
version_label() { if [ "$1" = HEAD ]; then git -C "$2" rev-parse --short HEAD; else printf '%s\n' "$1"; fi; }

# What differs in the clone $1 from its commit, as git puts it for programs.
edits_of() { git -C "$1" status --porcelain -z --untracked-files=all; }

commit_of() { git -C "$1" rev-parse HEAD; }

# Does the clone $1 have the commit $2, or get it now?
has_commit() {
  git -C "$1" cat-file -e "$2^{commit}" 2>/dev/null || git -C "$1" fetch --quiet --depth 1 origin "$2"
}

# Gets commit, tag or branch $3 (HEAD: the newest commit) of repository $1 into folder $2. A new clone gets its name
# when it is whole. In an old one, edits stay; where one of them is in the way, nothing is changed and this fails.
get_repository() {
  local url=$1 folder=$2 want=${3:-HEAD}
  if [ -e "$folder/.git" ]; then
    settle "$folder" &&
      git -C "$folder" remote set-url origin "$url" &&
      git -C "$folder" fetch --quiet --depth 1 origin "$want" &&
      go_to "$folder" FETCH_HEAD
  elif [ -e "$folder" ]; then
    warn "$folder is there but is no git repository; move it away first"
    return 1
  else
    clone "$url" "$folder" "$want"
  fi
}

# A new clone of one commit. Nothing is left of one that fails: ComfyUI would run it, whatever its folder is called.
clone() {
  local part=$2.part
  rm -rf "$part"
  clone_part "$@" && mv -T "$part" "$2" && return 0
  rm -rf "$part"
  return 1
}

clone_part() {
  local part=$2.part
  git init --quiet "$part" &&
    git -C "$part" remote add origin "$1" &&
    git -C "$part" fetch --quiet --depth 1 origin "$3" &&
    git -C "$part" -c advice.detachedHead=false checkout --quiet --detach FETCH_HEAD &&
    git -C "$part" submodule --quiet update --init --recursive --depth 1 &&
    put "$part/.git/easel-commit" commit_of "$part"
}

# Takes the clone $1 to a commit that it has. Commits made by hand stay reachable as a branch.
go_to() {
  local folder=$1 name here edits=$1/.git/easel-edits
  name=$(basename "$folder")
  settle "$folder" || return 1
  here=$(commit_of "$folder") || return 1
  if [ "$here" != "$(git -C "$folder" rev-parse "$2^{commit}")" ]; then
    if [ "$here" != "$(cat "$folder/.git/easel-commit" 2>/dev/null)" ]; then
      git -C "$folder" branch --force "kept-by-easel-${here:0:12}" "$here" || return 1
      warn "$name: commit ${here:0:12} was not made by Easel; it is kept as branch kept-by-easel-${here:0:12}"
    fi
    put "$edits" edits_of "$folder" || return 1
    if ! git -C "$folder" -c advice.detachedHead=false checkout --quiet --detach "$2"; then
      rm -f "$edits"
      warn "$name: files that were changed by hand are in the way; nothing was changed there"
      return 1
    fi
    rm -f "$edits"
  fi
  put "$folder/.git/easel-commit" commit_of "$folder" &&
    git -C "$folder" submodule --quiet update --init --recursive --depth 1
}

# Tidies what a killed git left in the clone $1: locks (nobody else works here), and files of the commit that it was on
# the way to. Those look like edits; what had been edited before is in easel-edits and stays.
settle() {
  local folder=$1 edits=$1/.git/easel-edits entry path
  local -A before=()
  find "$folder/.git" -maxdepth 4 -name '*.lock' -delete
  [ -f "$edits" ] || return 0
  while IFS= read -rd '' entry; do
    before[$entry]=1
  done <"$edits"
  put "$edits.now" edits_of "$folder" || return 1
  while IFS= read -rd '' entry; do
    path=${entry:3}
    [ -z "${before[$entry]:-}" ] || continue
    case ${entry:0:2} in
      '??') rm -f "$folder/$path" ;;
      ?[MD]) git -C "$folder" checkout-index --force -- "$path" || return 1 ;;
    esac
  done <"$edits.now"
  rm -f "$edits" "$edits.now"
}
