# Easel in a container: the binary on a slim base, process 1 is `easel init`.
#
#   docker build -t easel .                                             builds the binary in a stage of its own, from this folder
#   setup/build_image.sh                                                takes target/release/easel where there is one
#   docker build --build-arg BASE=nvidia/cuda:12.8.1-runtime-ubuntu24.04 …    for pods with a GPU whose tools want CUDA's libraries
#
# The builder before BuildKit runs every stage up to the one that is wanted, so the stage that compiles comes last.

ARG BASE=debian:trixie-slim
# Older than the bases that it is meant for: a binary runs with a newer C library than it was linked against, not with an older.
ARG RUST=rust:1.95-bookworm
ARG NODE=node:22-bookworm-slim

FROM ${BASE} AS runtime

# What the scripts of setup/ need: `apt` of every tool.toml. A pod's container disk is new at every start, so that what an
# installation brought with apt would be missing when a tool on the volume starts again. Empty: nothing is installed.
ARG PACKAGES="bash build-essential ca-certificates curl ffmpeg git libgl1 libglib2.0-0 libicu-dev nodejs npm openssh-client python3 python3-dev python3-venv"
RUN set -eu; \
    if [ -n "$PACKAGES" ]; then \
      export DEBIAN_FRONTEND=noninteractive; \
      apt-get update; \
      apt-get install -y --no-install-recommends $PACKAGES; \
      rm -rf /var/lib/apt/lists/*; \
    fi
# uv makes the tools' Python environments several times faster than pip, and brings a Python where the base's is too new or too
# old for them. Empty: pip and the base's Python do.
ARG UV=0.13.9
RUN set -eu; \
    if [ -n "$PACKAGES" ] && [ -n "$UV" ]; then \
      python3 -m venv /opt/uv; \
      /opt/uv/bin/pip install --no-cache-dir --disable-pip-version-check "uv==$UV"; \
      ln -s /opt/uv/bin/uv /usr/local/bin/uv; \
    fi

# NVIDIA's cuBLASLt for the engine's linear layers on a GPU, where the base has none: nvidia-cublas-cu12==12.9.1.4, which works with all
# drivers that the kernels need. Empty: the engine's own kernels do them.
ARG CUBLAS=""
RUN set -eu; \
    if [ -n "$CUBLAS" ]; then \
      python3 -m venv /opt/cublas; \
      /opt/cublas/bin/pip install --no-cache-dir --disable-pip-version-check "$CUBLAS"; \
    fi

# Where RunPod mounts its volume, and where anybody else should mount one: everything that Easel writes lies below it.
# A tool's programs are started by users of their own, which is why Easel itself is root; README.md says what another user
# can and cannot do.
WORKDIR /workspace
ENV EASEL_DATA=/workspace/easel \
    EASEL_WORKSPACE=/workspace \
    EASEL_BIND=0.0.0.0 \
    # As NVIDIA's own images ask for it: their container runtime gives a GPU to who wants one.
    NVIDIA_VISIBLE_DEVICES=all \
    NVIDIA_DRIVER_CAPABILITIES=compute,utility

# The studio, and the gates of the tools: `public_port` of every tool.toml.
EXPOSE 8080 7861 8188 8675 8888

# The program itself asks the running server, over its socket.
HEALTHCHECK --interval=15s --timeout=5s --start-period=60s --retries=3 CMD ["easel", "status"]

# What follows the image's name are flags of `serve`: docker run easel --port 9000
ENTRYPOINT ["easel", "init", "--", "easel", "serve"]

ARG VERSION=0.1.0
ARG REVISION=unknown
ARG SOURCE=
LABEL org.opencontainers.image.title="Easel" \
      org.opencontainers.image.description="A shared studio for GPU pods and Linux boxes" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="${VERSION}" \
      org.opencontainers.image.revision="${REVISION}" \
      org.opencontainers.image.source="${SOURCE}"

# The binary of a host that has Rust: `docker build --target handed-over` with a context that holds it.
FROM runtime AS handed-over
ARG BINARY=easel
COPY ${BINARY} /usr/local/bin/easel

FROM ${NODE} AS node

FROM ${RUST} AS build
# Debian's own Node is too old there; the front end is bundled by it.
COPY --from=node /usr/local/bin/node /usr/local/bin/node
COPY --from=node /usr/local/lib/node_modules /usr/local/lib/node_modules
RUN ln -s ../lib/node_modules/npm/bin/npm-cli.js /usr/local/bin/npm
WORKDIR /easel
COPY . .
# The compiler for GPUs is fetched from PyPI; needs no GPU here.
RUN apt-get update && apt-get install -y --no-install-recommends python3-venv && rm -rf /var/lib/apt/lists/*
RUN home=$(setup/nvrtc.sh /opt/nvrtc) && CUDA_HOME=$home cargo build --release --locked --bin easel && strip --strip-debug target/release/easel

FROM runtime
COPY --from=build /easel/target/release/easel /usr/local/bin/easel
