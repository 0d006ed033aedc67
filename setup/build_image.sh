#!/usr/bin/env bash
# Builds the container image and tags it; with --push it goes to its registry. A binary in target/release is handed over;
# without one, or with --compile, a stage of the image compiles it. Works with BuildKit and with the builder before it.
set -euo pipefail
cd "$(dirname "$0")/.."

usage() {
  cat <<'TEXT'
usage: setup/build_image.sh [options]

  --tag NAME:TAG   name of the image [default: easel:VERSION]; can be given again
  --base IMAGE     runtime base, such as nvidia/cuda:12.8.1-runtime-ubuntu24.04 [default: debian:trixie-slim]
  --binary FILE    the binary to hand over [default: target/release/easel, where it is]
  --compile        compile in a stage of the image instead
  --packages LIST  Debian packages of the runtime; '' for none [default: what the tools need]
  --cublas         bring NVIDIA's cuBLASLt for the engine (860 MB), which bases of nvidia/cuda have already
  --push           push every tag after the build
TEXT
}
fail() { echo "build_image.sh: $*" >&2; exit 1; }

tags=() base='' binary='' compile=0 push=0 packages_given=0 packages='' cublas=''
while [ $# -gt 0 ]; do
  case $1 in
    --compile) compile=1; shift; continue ;;
    --push) push=1; shift; continue ;;
    --cublas) cublas=nvidia-cublas-cu12==12.9.1.4; shift; continue ;;
    -h | --help) usage; exit 0 ;;
    --tag | --base | --binary | --packages) [ $# -ge 2 ] || fail "$1 needs a value" ;;
    *) usage >&2; exit 2 ;;
  esac
  case $1 in
    --tag) tags+=("$2") ;;
    --base) base=$2 ;;
    --binary) binary=$2 ;;
    --packages) packages_given=1 packages=$2 ;;
  esac
  shift 2
done
command -v docker >/dev/null || fail "docker is not installed (Debian's packages are docker.io and, from trixie on, docker-cli)"
docker version >/dev/null 2>&1 || fail "no container engine answers; start it, or set DOCKER_HOST"

version=$(sed -n '/^\[workspace.package\]/,/^\[/s/^version = "\(.*\)"/\1/p' Cargo.toml)
[ -n "$version" ] || fail "Cargo.toml does not say the version"
revision=$(git rev-parse HEAD 2>/dev/null || echo unknown)
[ ${#tags[@]} -gt 0 ] || tags=("easel:$version")

arguments=(--build-arg "VERSION=$version" --build-arg "REVISION=$revision")
[ -z "$base" ] || arguments+=(--build-arg "BASE=$base")
[ $packages_given = 0 ] || arguments+=(--build-arg "PACKAGES=$packages")
[ -z "$cublas" ] || arguments+=(--build-arg "CUBLAS=$cublas")
for tag in "${tags[@]}"; do arguments+=(--tag "$tag"); done
# Behind a proxy, packages are fetched through it. Docker keeps these out of the image.
for name in http_proxy https_proxy no_proxy; do
  [ -z "${!name:-}" ] || arguments+=(--build-arg "$name=${!name}")
done

if [ $compile = 0 ] && [ -z "$binary" ] && [ -x target/release/easel ]; then
  binary=target/release/easel
fi
if [ $compile = 1 ] || [ -z "$binary" ]; then
  echo "compiling in the image: this takes a while"
  docker build "${arguments[@]}" .
else
  [ -x "$binary" ] || fail "$binary is no program"
  context=$(mktemp -d)
  trap 'rm -rf "$context"' EXIT
  # A context of its own: nothing else of this folder is sent, and no .dockerignore hides the binary.
  cp Dockerfile "$context/Dockerfile"
  if command -v strip >/dev/null; then
    strip --strip-debug -o "$context/easel" "$binary"
  else
    cp "$binary" "$context/easel"
  fi
  chmod 0755 "$context/easel"
  docker build "${arguments[@]}" --target handed-over "$context"
fi

# A binary that was linked against a newer C library than the base has would only be noticed in the pod.
said=$(docker run --rm --network none --entrypoint easel "${tags[0]}" --version) ||
  fail "the binary does not run on this base; use a base that is as new as the machine it was built on, or --compile"
echo "$said"
case $said in *'no kernels'* | *'no support'*)
  echo "build_image.sh: it will use no GPU; CUDA_HOME=\$(setup/nvrtc.sh) cargo build --release makes a program that does, --compile too" >&2 ;;
esac
docker image inspect --format '{{.Id}} {{.Size}} bytes' "${tags[0]}"

if [ $push = 1 ]; then
  for tag in "${tags[@]}"; do docker push "$tag"; done
fi
