# The image, for whoever has an engine; scripts/image/build makes one without. Give it a tag:
#   docker build -t brimful .
FROM rust:1.95-bookworm AS build
WORKDIR /source
COPY . .
# With --target the flags reach the program alone, and not what runs while it is built.
RUN target="$(uname -m)-unknown-linux-gnu" \
    && RUSTFLAGS="-C target-feature=+crt-static" cargo build --locked --package brimful --bin brimful \
        --profile static --target "$target" --target-dir /build \
    && mkdir --parents /image/data /image/tmp && chmod 1777 /image/tmp \
    && cp "/build/$target/static/brimful" /image/

FROM scratch
LABEL org.opencontainers.image.title="brimful" \
      org.opencontainers.image.description="Finds out by experiment which limit makes a health check fail under many connections" \
      org.opencontainers.image.licenses="MIT OR Apache-2.0"
COPY --from=build --chown=65532:65532 /image /
USER 65532:65532
WORKDIR /data
ENTRYPOINT ["/brimful"]
