#!/usr/bin/env bash
# Files that appear whole or not at all, and folders that move by rename only. Sourced by easel.sh.

# Writes what the command $2… says to $1: whole and on the disk, or not at all. Not from a pipe: where a signal ends what
# writes into one, whoever reads it sees an end like any other, and half would be taken for the whole.
put() {
  local file=$1 new=$1.new
  shift
  "$@" >"$new" && sync "$new" && mv -T "$new" "$file"
}

# Are two existing paths on one volume, so that a rename moves between them?
same_volume() { [ "$(stat -c %d "$1")" = "$(stat -c %d "$2")" ]; }

# Is there anything at $1? Also a link that leads nowhere, or nowhere from where it lies now.
there() { [ -e "$1" ] || [ -L "$1" ]; }

# Is $1 a folder itself, and no link to one?
is_folder() { [ -d "$1" ] && [ ! -L "$1" ]; }

# Moves $1 to $2, which must not exist. A volume of its own in between would make it a copy: refused.
move() {
  ! there "$2" || die "$2 is in the way of $1"
  mkdir -p "$(dirname "$2")"
  same_volume "$(dirname "$1")" "$(dirname "$2")" || die "$1 and $2 are on different volumes; nothing is copied between them"
  mv -T "$1" "$2"
}

# Moves what is in $1 into $2, entry by entry, by rename; $1 wins over what $2 has under the same name, whatever the two
# are: a link of somebody's to another folder over a folder that a program brings along too. What cannot be moved stays,
# the rest is moved all the same, and the exit code tells. Goes on where it was interrupted.
merge() {
  local entry failed=0
  if is_folder "$1" && is_folder "$2"; then
    while IFS= read -rd '' entry; do
      merge "$1/$entry" "$2/$entry" || failed=1
    done < <(find "$1" -mindepth 1 -maxdepth 1 -printf '%f\0')
    [ "$failed" -eq 0 ] && rmdir "$1"
  else
    # Before anything gives way, it must be certain that what takes its place is moved and not copied.
    mkdir -p "$(dirname "$2")" || return 1
    same_volume "$(dirname "$1")" "$(dirname "$2")" || return 1
    if is_folder "$1"; then
      rm -f "$2" || return 1
    elif is_folder "$2"; then
      rm -rf "$2" || return 1
    fi
    mv -fT "$1" "$2"
  fi
}

# The value of the key $2 in the file $1 of key=value lines, or nothing.
value() {
  local line
  while IFS= read -r line; do
    [[ $line != "$2="* ]] || printf '%s\n' "${line#*=}"
  done <"$1"
}
