#!/usr/bin/env bash
# Files that appear whole or not at all, and folders that move by rename only. Sourced by easel.sh.

# Writes standard input to $1: whole and on the disk, or not at all.
put() {
  local new=$1.new
  cat >"$new"
  sync "$new"
  mv -T "$new" "$1"
}

# Are two existing paths on one volume, so that a rename moves between them?
same_volume() { [ "$(stat -c %d "$1")" = "$(stat -c %d "$2")" ]; }

# Moves $1 to $2, which must not exist. A volume of its own in between would make it a copy: refused.
move() {
  [ ! -e "$2" ] || die "$2 is in the way of $1"
  mkdir -p "$(dirname "$2")"
  same_volume "$(dirname "$1")" "$(dirname "$2")" || die "$1 and $2 are on different volumes; nothing is copied between them"
  mv -T "$1" "$2"
}

# Moves what is in $1 into $2, entry by entry, by rename; $1 wins over what $2 has under the same name.
# Goes on where it was interrupted.
merge() {
  local entry
  if [ ! -d "$1" ] || [ -L "$1" ]; then
    mv -fT "$1" "$2"
  elif [ ! -e "$2" ]; then
    move "$1" "$2"
  else
    [ -d "$2" ] || die "$2 is in the way of the folder $1"
    while IFS= read -rd '' entry; do
      merge "$1/$entry" "$2/$entry"
    done < <(find "$1" -mindepth 1 -maxdepth 1 -printf '%f\0')
    rmdir "$1"
  fi
}

# The value of the key $2 in the file $1 of key=value lines, or nothing.
value() {
  local line
  while IFS= read -r line; do
    [[ $line != "$2="* ]] || printf '%s\n' "${line#*=}"
  done <"$1"
}
