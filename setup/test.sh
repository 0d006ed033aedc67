#!/usr/bin/env bash
# Installs what the tests need from Debian's packages, then runs every check. `--long` adds soaks, kill loops and fuzzing.
set -euo pipefail
cd "$(dirname "$0")/.."

long=0
for arg in "$@"; do
  case $arg in
    --long) long=1 ;;
    *) echo "usage: setup/test.sh [--long]" >&2; exit 2 ;;
  esac
done
export EASEL_TEST_LONG=$long

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

need() { # program, Debian package
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
step "programs"
missing=()
need chromium chromium
need chromedriver chromium-driver
need wrk wrk
python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
if [ ${#missing[@]} -gt 0 ]; then
  sudo=''
  [ "$(id -u)" -eq 0 ] || sudo=sudo
  echo "installing ${missing[*]}"
  $sudo env DEBIAN_FRONTEND=noninteractive sh -c "apt-get update -qq && apt-get install -y -qq --no-install-recommends ${missing[*]}" >/dev/null
fi
for program in cargo node npm cc perl make; do
  command -v "$program" >/dev/null || { echo "missing: $program (see the prerequisites in README.md)" >&2; exit 1; }
done

step "tools of the tests"
tools=target/tools
if [ ! -x $tools/bin/cargo-deny ]; then
  cargo install cargo-deny --version 0.20.2 --locked --quiet --root $tools
fi
if [ ! -x $tools/python/bin/schemathesis ]; then
  python3 -m venv $tools/python
  $tools/python/bin/pip --disable-pip-version-check --quiet install schemathesis==4.32.5
fi

step "format"
cargo fmt --all --check

step "build"
cargo build --release --workspace --locked

step "lints"
cargo clippy --release --workspace --all-targets --locked -q -- -D warnings

step "documentation"
RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps --document-private-items --locked -q

step "licences, sources and bans of the dependencies"
$tools/bin/cargo-deny --log-level error check licenses bans sources

step "tests"
cargo test --release --workspace --locked

if [ -n "${CI:-}" ]; then
  step "the git tree is clean"
  changed=$(git status --porcelain)
  [ -z "$changed" ] || { printf '%s\n' "$changed"; exit 1; }
fi
step "done"
