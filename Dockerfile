# syntax=docker/dockerfile:1

FROM node:24-bookworm-slim AS frontend
WORKDIR /natter/frontend
COPY frontend/package.json frontend/package-lock.json ./
RUN npm install --no-save --no-fund --no-audit
COPY frontend ./
RUN npm run build

FROM rust:1-bookworm AS server
RUN apt-get update && apt-get install --yes --no-install-recommends cmake && rm -rf /var/lib/apt/lists/*
WORKDIR /natter
COPY . .
COPY --from=frontend /natter/frontend/build frontend/build
RUN --mount=type=cache,target=/usr/local/cargo/registry --mount=type=cache,target=/natter/target \
    cargo build --release --locked --package natter && cp target/release/natter /usr/local/bin/natter

FROM debian:bookworm-slim
# Certificates of AI providers; curl for the health check.
RUN apt-get update && apt-get install --yes --no-install-recommends ca-certificates curl && rm -rf /var/lib/apt/lists/* \
    && useradd --system --create-home --home-dir /var/lib/natter natter
COPY --from=server /usr/local/bin/natter /usr/local/bin/natter
USER natter
WORKDIR /var/lib/natter
VOLUME /var/lib/natter
ENV NATTER__SERVER__HOST=0.0.0.0 \
    NATTER__SERVER__DATA_DIR=/var/lib/natter
EXPOSE 8080
HEALTHCHECK --interval=10s --timeout=3s --start-period=20s CMD ["curl", "--fail", "--silent", "http://127.0.0.1:8080/health/simple"]
# SIGTERM drains and ends with 0 within server.shutdown_grace_seconds.
STOPSIGNAL SIGTERM
ENTRYPOINT ["natter"]
CMD ["serve"]
