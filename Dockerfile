# syntax=docker/dockerfile:1

FROM node:24-bookworm-slim AS frontend
WORKDIR /natter/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm ci --no-fund --no-audit
COPY frontend ./
RUN npm run build

FROM rust:1-bookworm AS server
# Versions are those of the image's own release of Debian.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /natter
COPY . .
COPY --from=frontend /natter/frontend/build frontend/build
# `default` has a crate under the GPL-3.0-or-later in it; README.md says what follows from that.
ARG FEATURES=flood-guard,kafka,swagger
# Git revision for the metric natter_build_info; without it, the metric has none.
ARG NATTER_REVISION
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/natter/target \
    cargo build --release --locked --package natter --no-default-features --features "$FEATURES" \
    && scripts/split-debug target/release/natter \
    && cp target/release/natter target/release/natter.debug /usr/local/bin/

# Line tables for backtraces: `docker build --target debug --output . .` writes natter.debug.
FROM scratch AS debug
COPY --from=server /usr/local/bin/natter.debug /

FROM debian:bookworm-slim
# Certificates of AI providers and mail servers. The program's user is a number as well, so that Kubernetes can tell that it is not root.
# hadolint ignore=DL3008
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates && rm -rf /var/lib/apt/lists/* \
    && groupadd --system --gid 10001 natter \
    && useradd --system --uid 10001 --gid natter --create-home --home-dir /var/lib/natter --shell /usr/sbin/nologin natter
COPY --from=server /usr/local/bin/natter /usr/local/bin/natter
USER 10001:10001
WORKDIR /var/lib/natter
# All that is ever written; the rest may be read-only (`docker run --read-only`).
VOLUME /var/lib/natter
ENV NATTER__SERVER__HOST=0.0.0.0 \
    NATTER__SERVER__DATA_DIR=/var/lib/natter
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=5s --start-period=20s CMD ["natter", "probe"]
# SIGTERM drains and ends with 0 within server.shutdown_grace_seconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["natter"]
CMD ["serve"]
