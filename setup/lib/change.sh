#!/usr/bin/env bash
# Installing and updating as changes that can be interrupted anywhere. Sourced by easel.sh.
#
# A change has a note beside it for as long as it lasts ($CHANGING). Whoever finds one knows that an earlier script
# was interrupted, and how to go on or back. A tool counts as installed when $INSTALLED is there and no note is.

# What else an update script wants done after going back: the name of a function.
AFTER_UNDO=true
# What $INSTALLED said before an update, and what the environment held.
MARK_BEFORE=$EASEL_TOOL_DIR/.easel-before
PACKAGES_BEFORE=$EASEL_TOOL_DIR/.easel-packages
# The version that an update which worked has replaced, as $INSTALLED had it, and its packages: to go back to.
EARLIER=$EASEL_TOOL_DIR/.easel-earlier
PACKAGES_EARLIER=$EASEL_TOOL_DIR/.easel-earlier-packages

# Which change was interrupted, or nothing.
interrupted() { [ ! -f "$CHANGING" ] || value "$CHANGING" change; }

# Writes the note of change $1, with further key=value lines.
note() { put "$CHANGING" printf '%s\n' "change=$1" "${@:2}"; }

# Lets a signal end this script only once what it runs has ended, which got the same signal: whoever goes back must not
# find a program that still writes.
end_in_order() {
  trap 'exit 129' HUP
  trap 'exit 130' INT
  trap 'exit 143' TERM
}

# Begins an installation, or takes up one that was interrupted.
begin_install() {
  # After an interruption, files of a package may be missing that its own list has: the environment is made anew, out
  # of the caches.
  if [ -n "${REINSTALLING:-}" ]; then
    end_in_order
    rm -f "$APP/venv/.whole"
    return 0
  fi
  finish_reinstall
  if [ -n "$(interrupted)" ]; then
    warn "an earlier $(interrupted) was interrupted; going on from there"
    rm -f "$APP/venv/.whole"
  fi
  note install
}

# Ends a change: the tool is installed, in version $1, at the commit of the clone $2 if it comes from one. What cannot be
# told ends the script here: in an argument it would be taken for nothing.
finish() {
  local version=$1 commit='' at
  if [ -n "${2:-}" ]; then
    commit=$(commit_of "$2")
    version=$(version_label "$1" "$2")
  fi
  at=$(date -u +%Y-%m-%dT%H:%M:%SZ)
  put "$INSTALLED" printf '%s\n' "version=$version" "commit=$commit" "at=$at"
  # Inside a reinstallation the last word is that one's.
  [ -n "${REINSTALLING:-}" ] || close_change
}

# What is left to do once the new mark is written. May be done twice.
close_change() {
  keep_earlier
  rm -f "$CHANGING" "$MARK_BEFORE" "$PACKAGES_BEFORE"
}

# Did an update that was ended before its last line say its last word? Then it was done.
is_complete() { [ -f "$MARK_BEFORE" ] && ! cmp -s "$INSTALLED" "$MARK_BEFORE"; }

# What was there before an update stays within reach, if the update brought anything new.
keep_earlier() {
  local commit
  [ -f "$MARK_BEFORE" ] || return 0
  commit=$(value "$MARK_BEFORE" commit)
  [ "$(value "$MARK_BEFORE" version) $commit" != "$(value "$INSTALLED" version) $(value "$INSTALLED" commit)" ] || return 0
  # git throws away in time what no name leads to.
  [ -z "$commit" ] || git -C "$APP" update-ref refs/easel/earlier "$commit"
  rm -f "$EARLIER"
  [ ! -f "$PACKAGES_BEFORE" ] || put "$PACKAGES_EARLIER" cat "$PACKAGES_BEFORE"
  put "$EARLIER" cat "$MARK_BEFORE"
}

# For start scripts: what must be true before the tool can run.
ready() {
  finish_reinstall
  [ -z "$(interrupted)" ] || misconfigured "its $(interrupted) was interrupted; run that again"
  [ -f "$INSTALLED" ] || misconfigured "it is not installed"
}

# Begins an update: remembers what to go back to, and goes back there should the script fail. What an interrupted
# update remembered stays: that state worked, the one in between may not. With EASEL_GO_BACK the rest of the script is left
# out, and the version before the last update comes back.
begin_update() {
  local from=''
  finish_reinstall
  if [ "$(interrupted)" = update ] && is_complete; then
    close_change
    [ -z "${EASEL_GO_BACK:-}" ] || { warn "an interrupted update was complete"; exit 0; }
  fi
  [ -z "${EASEL_GO_BACK:-}" ] || [ -f "$EARLIER" ] || die "There is no earlier version to go back to."
  case $(interrupted) in
    install) misconfigured "its installation was interrupted; install it again" ;;
    update)
      warn "an earlier update was interrupted; going on from what was there before it"
      [ ! -f "$PACKAGES_BEFORE" ] || renew "$APP/venv" "$PACKAGES_BEFORE"
      ;;
    *)
      [ -f "$INSTALLED" ] || misconfigured "it is not installed"
      put "$MARK_BEFORE" cat "$INSTALLED"
      [ ! -d "$APP/venv" ] || put "$PACKAGES_BEFORE" frozen "$APP/venv"
      [ ! -d "$APP/.git" ] || from=$(commit_of "$APP")
      note update "from=$from"
      ;;
  esac
  trap 'undo_update $?' EXIT
  end_in_order
  if [ -n "${EASEL_GO_BACK:-}" ]; then
    go_back
    exit 0
  fi
}

# An update to the version before. The one that is left is then the earlier one, so this can be taken back too.
go_back() {
  local version commit
  version=$(value "$EARLIER" version)
  commit=$(value "$EARLIER" commit)
  steps 2
  step "Going back to version $version"
  if [ -n "$commit" ]; then
    has_commit "$APP" "$commit" || die "The earlier version could not be got."
    go_to "$APP" "$commit" || die "The earlier version cannot be put in place."
  fi
  step "Going back to its packages"
  [ ! -f "$PACKAGES_EARLIER" ] || thaw "$APP/venv" "$PACKAGES_EARLIER" || die "Its packages could not be installed."
  "$AFTER_UNDO" || die "The earlier version could not be built."
  finish "$version" ${commit:+"$APP"}
}

# Runs when an update script ends, however it ends. Whether it is done is said by the note alone: where a signal ends a
# script without a trap, bash says 0 here.
undo_update() {
  local code=$1 from
  trap - EXIT
  # The way back is not left half-way because whoever ends the script asks twice.
  trap '' TERM HUP INT
  [ "$(interrupted)" = update ] || exit "$code"
  if is_complete; then
    close_change
    exit 0
  fi
  [ "$code" -ne 0 ] || code=1
  from=$(value "$CHANGING" from)
  warn "the update failed; going back to what was there"
  if { [ -z "$from" ] || go_to "$APP" "$from"; } &&
    { [ ! -f "$PACKAGES_BEFORE" ] || thaw "$APP/venv" "$PACKAGES_BEFORE"; } && "$AFTER_UNDO"; then
    rm -f "$CHANGING" "$MARK_BEFORE" "$PACKAGES_BEFORE"
    warn "it is as it was before the update"
  else
    warn "going back failed too; run the update again, or reinstall, which keeps models, outputs and settings"
  fi
  exit "$code"
}
