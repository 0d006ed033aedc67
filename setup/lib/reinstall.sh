#!/usr/bin/env bash
# Making a tool anew without losing what is people's. Everything moves by rename; until the new one is whole, the old
# one can come back. Sourced by easel.sh.
#
# The note holds phase=out while the old one can come back, and phase=back once the new one is whole. $APP.old is
# there from the moment that everything has been put aside.

OLD=$APP.old
INSTALLED_BEFORE=$INSTALLED.before
# The note of an update or an installation that was interrupted before: whoever goes back to that finds it again.
NOTE_BEFORE=$CHANGING.before
# What else a script wants done once what is people's is back: the name of a function.
AFTER_BACK=true

# reinstall INSTALL_SCRIPT KEPT… [-- ASIDE…]: paths below the program's folder. KEPT ones are put aside and come back,
# ASIDE ones stay in the backup. When the installation fails, or is ended by a signal, everything is as it was.
reinstall() {
  local script=$1 inner
  shift
  inner=$(sed -n 's/^steps \([0-9]*\)$/\1/p' "$script")
  steps $((inner + 2))
  if [ "$(interrupted)" = reinstall ]; then
    warn "an earlier reinstallation was interrupted; going on from there"
  else
    [ -f "$INSTALLED" ] || [ -n "$(interrupted)" ] || misconfigured "it is not installed"
    remember "$@"
  fi
  if [ "$(value "$CHANGING" phase)" = out ]; then
    trap 'undo_reinstall $?' EXIT
    end_in_order
    step "Putting models, outputs and settings aside"
    put_aside
    REINSTALLING=1 STEPS_BEFORE=1 STEPS_AFTER=1 bash "$script" || die "The new one could not be installed."
    put "$CHANGING" sed 's/^phase=out$/phase=back/' "$CHANGING"
    trap - EXIT HUP INT TERM
  fi
  # shellcheck disable=SC2034 # read by step
  STEPS_DONE=$((STEPS_ALL - 1))
  step "Putting models, outputs and settings back"
  bring_back
}

# Runs when the script ends before the new one is whole, however it ends.
undo_reinstall() {
  local code=$1
  trap - EXIT
  # The way back is not left half-way because whoever ends the script asks twice.
  trap '' TERM HUP INT
  [ "$code" -ne 0 ] || code=1
  [ "$(value "$CHANGING" phase)" = out ] || exit "$code"
  warn "the installation failed; going back to what was there"
  put_back
  die "It could not be reinstalled. Everything is as it was."
}

# Writes the note: where things are put aside, and which.
remember() {
  local backup kind=kept path lines=()
  if [ -f "$CHANGING" ]; then put "$NOTE_BEFORE" cat "$CHANGING"; else rm -f "$NOTE_BEFORE"; fi
  backup=$(backup_folder)
  for path in "$@"; do
    if [ "$path" = -- ]; then
      kind=aside
    else
      lines+=("$kind=$path")
    fi
  done
  note reinstall phase=out "backup=$backup" "${lines[@]}"
}

# A new folder for what is put aside: in the backup folder where that is on the tool's volume.
backup_folder() {
  local first name folder n=1
  first=${EASEL_TOOL:-tool}-$(date -u +%Y%m%d-%H%M%S)
  name=$first
  folder=${EASEL_BACKUP:-$EASEL_TOOL_DIR/backup}
  # Of two in one second, each has its own.
  while there "$folder/$name"; do
    n=$((n + 1))
    name=$first.$n
  done
  if ! mkdir -p "$folder/$name" || ! same_volume "$folder/$name" "$EASEL_TOOL_DIR"; then
    folder=$EASEL_TOOL_DIR/backup
    mkdir -p "$folder/$name"
  fi
  printf '%s\n' "$folder/$name"
}

# The old one makes room.
put_aside() {
  local backup path
  [ ! -e "$OLD" ] || return 0
  backup=$(value "$CHANGING" backup)
  [ ! -f "$INSTALLED" ] || mv -T "$INSTALLED" "$INSTALLED_BEFORE"
  while IFS= read -r path; do
    ! there "$APP/$path" || move "$APP/$path" "$backup/$path"
  done < <(value "$CHANGING" kept && value "$CHANGING" aside)
  mkdir -p "$APP"
  mv -T "$APP" "$OLD"
}

# The old one comes back.
put_back() {
  local backup path
  backup=$(value "$CHANGING" backup)
  if [ -e "$OLD" ]; then
    # A mark that the new one wrote, where the old one had none.
    [ -f "$INSTALLED_BEFORE" ] || rm -f "$INSTALLED"
    rm -rf "$APP" "$APP.part"
    mv -T "$OLD" "$APP"
  fi
  while IFS= read -r path; do
    take_back "$backup/$path" "$APP/$path"
  done < <(value "$CHANGING" kept && value "$CHANGING" aside)
  [ ! -f "$INSTALLED_BEFORE" ] || mv -fT "$INSTALLED_BEFORE" "$INSTALLED"
  if [ -f "$NOTE_BEFORE" ]; then mv -fT "$NOTE_BEFORE" "$CHANGING"; else rm -f "$CHANGING"; fi
  clear_backup "$backup"
}

# What is at $1, if anything, comes back to $2. A second try finds only what the first could not move, which may have been
# a passing trouble. One thing that does not come back must not keep the tool from ever being whole again: it is told, and
# stays.
take_back() {
  ! there "$1" || merge "$1" "$2" || ! there "$1" || merge "$1" "$2" ||
    warn "not all of $1 could be moved back; what is left lies there"
}

# Takes away what of a backup is empty.
clear_backup() { [ ! -d "$1" ] || find "$1" -depth -type d -empty -delete; }

# The new one gets what is people's.
bring_back() {
  local backup path
  backup=$(value "$CHANGING" backup)
  while IFS= read -r path; do
    take_back "$backup/$path" "$APP/$path"
  done < <(value "$CHANGING" kept)
  rm -rf "$OLD"
  "$AFTER_BACK" || die "What came back could not be made ready for the new version. Running this again tries it again."
  rm -f "$INSTALLED_BEFORE" "$NOTE_BEFORE" "$MARK_BEFORE" "$PACKAGES_BEFORE" "$EARLIER" "$PACKAGES_EARLIER" "$CHANGING"
  clear_backup "$backup"
  [ ! -d "$backup" ] || warn "kept in $backup: $(find "$backup" -mindepth 1 -maxdepth 1 -printf '%f ')"
}

# Other scripts that find an interrupted reinstallation: back to the old one, or on to the new one.
finish_reinstall() {
  [ "$(interrupted)" = reinstall ] || return 0
  warn "an earlier reinstallation was interrupted"
  if [ "$(value "$CHANGING" phase)" = out ]; then put_back; else bring_back; fi
}
