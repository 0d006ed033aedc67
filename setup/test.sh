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
# Not one of the settings of the program, which refuses one that it does not know.
export TESTS_LONG=$long

step() { printf '\n== %s (%s s)\n' "$1" "$SECONDS"; }

need() { # program, Debian package
  command -v "$1" >/dev/null 2>&1 || missing+=("$2")
}
step "programs"
missing=()
need chromium chromium
need chromedriver chromium-driver
need wrk wrk
need shellcheck shellcheck
need git git
need ssh-keygen openssh-client
need openssl openssl
PATH=$PATH:/usr/sbin need sshd openssh-server
need curl curl
# The engine's kernels for GPUs are tested on the host.
need c++ g++
PATH=$PATH:/usr/sbin need nginx nginx-light
PATH=$PATH:/usr/sbin need dockerd docker.io
# With docker.io until Debian 12, a package of its own from 13 on.
if ! command -v docker >/dev/null 2>&1 && [ "$(. /etc/os-release && echo "${VERSION_ID:-12}")" -ge 13 ] 2>/dev/null; then
  missing+=(docker-cli)
fi
need ip iproute2
{ [ -x /bin/busybox ] && ! ldd /bin/busybox >/dev/null 2>&1; } || missing+=(busybox-static)
# Debian's own: tools run as users of their own, who cannot reach one in somebody's home.
/usr/bin/python3 -c 'import ensurepip' 2>/dev/null || missing+=(python3 python3-venv)
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
  # It runs for seconds: not worth minutes of optimising.
  CARGO_PROFILE_RELEASE_OPT_LEVEL=0 CARGO_PROFILE_RELEASE_DEBUG=0 \
    cargo install cargo-deny --version 0.20.2 --locked --quiet --root $tools
fi
if [ ! -x $tools/python/bin/schemathesis ]; then
  /usr/bin/python3 -m venv $tools/python
  $tools/python/bin/pip --disable-pip-version-check --quiet install schemathesis==4.32.5
fi
# The scripts of tools install Python packages with it.
if [ ! -x $tools/python/bin/uv ]; then
  $tools/python/bin/pip --disable-pip-version-check --quiet install uv==0.13.9
fi
# Rivals of the terminal: one beside it in each run, the other, which compiles and is large, in long ones.
if ! $tools/python/bin/python -c 'import terminado' 2>/dev/null; then
  $tools/python/bin/python -m pip --disable-pip-version-check --quiet install terminado==0.18.1
fi
# The kernels for GPUs are also run as NVIDIA's compiler makes them, which needs no GPU.
setup/nvrtc.sh >/dev/null
if [ $long = 1 ] && [ ! -d $tools/wetty/node_modules/wetty ]; then
  npm install --prefix $tools/wetty --no-fund --no-audit --silent wetty@3.2.0
fi

step "format"
cargo fmt --all --check

# As the tests need it, and not by `cargo build`: a feature of a test's macro is enough for Cargo to build everything again.
step "build"
cargo test --release --workspace --locked --no-run

step "lints"
cargo clippy --release --workspace --all-targets --locked -q -- -D warnings

step "documentation"
RUSTDOCFLAGS='-D warnings' cargo doc --release --workspace --no-deps --document-private-items --locked -q

step "licences, sources and bans of the dependencies"
$tools/bin/cargo-deny --log-level error check licenses bans sources

step "tests"
# They wait for servers, browsers and clocks as often as they compute.
cargo test --release --workspace --locked -- --skip measured:: --test-threads $(( $(nproc) + 1 ))

step "tests that measure, one at a time"
cargo test --release --workspace --locked --test easel-tests -- measured:: --test-threads 1

if [ -n "${CI:-}" ]; then
  step "the git tree is clean"
  changed=$(git status --porcelain)
  [ -z "$changed" ] || { printf '%s\n' "$changed"; exit 1; }
fi
step "done"
