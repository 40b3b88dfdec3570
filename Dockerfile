# The daemon and its command line client. No key is in the image: hand one in as a file, for example
#   docker run --mount type=volume,src=osnova,dst=/var/lib/osnova \
#     --mount type=bind,src=/path/to/key,dst=/run/secrets/osnova-master-key,readonly \
#     osnova-storage --key-file /run/secrets/osnova-master-key
# Without one the daemon starts locked. What follows the image's name goes to osnova-storaged.

FROM rust:1.95-bookworm AS build
WORKDIR /build
COPY . .
RUN cargo build --locked --release -p osnova-storage-server -p osnova-storage-client --bins

FROM debian:bookworm-slim
RUN groupadd --system --gid 970 osnova \
    && useradd --system --no-log-init --uid 970 --gid osnova --no-create-home \
        --home-dir /var/lib/osnova --shell /usr/sbin/nologin osnova \
    && install -d -m 0700 -o osnova -g osnova /var/lib/osnova
COPY --from=build /build/target/release/osnova-storaged /build/target/release/osnova-storage /usr/local/bin/
USER 970:970
VOLUME ["/var/lib/osnova"]
WORKDIR /var/lib/osnova
ENV OSNOVA_STORAGE_ENDPOINT=unix:/var/lib/osnova/run/storage.sock
HEALTHCHECK --interval=30s --timeout=5s --start-period=60s --retries=3 CMD ["osnova-storage", "status"]
STOPSIGNAL SIGTERM
ENTRYPOINT ["osnova-storaged", "--data-root", "/var/lib/osnova", "--listen", "unix:/var/lib/osnova/run/storage.sock"]
