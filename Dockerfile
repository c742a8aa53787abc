# Builds posthorn and leaves the tools behind. The result holds the program, the system's certificates, and nobody's password.
#
#   docker build -t posthorn .
#   docker run -p 127.0.0.1:8025:8025 -v posthorn:/var/lib/posthorn -v ./posthorn.toml:/etc/posthorn/posthorn.toml:ro posthorn

FROM rust:1-bookworm AS build
WORKDIR /source
COPY . .
# Without the flags of .cargo/config.toml, which shorten the build and cost a few per cent of speed.
RUN RUSTFLAGS="" cargo build --profile dist --locked --package posthorn

FROM debian:bookworm-slim
# Relay, Action Center and PostgreSQL are checked against the system's roots.
RUN apt-get update \
    && apt-get install --yes --no-install-recommends ca-certificates \
    && rm -rf /var/lib/apt/lists/* \
    && useradd --system --uid 10025 --home-dir /var/lib/posthorn --create-home --shell /usr/sbin/nologin posthorn
COPY --from=build /source/target/dist/posthorn /usr/local/bin/posthorn

# A number, so that a cluster can see that it is not root's.
USER 10025:10025
# A relative database or Maildir path lies in the volume.
WORKDIR /var/lib/posthorn
VOLUME /var/lib/posthorn
# Beyond this machine only through a proxy or a published port: set http.listen to 0.0.0.0:8025 for that.
EXPOSE 8025
HEALTHCHECK --interval=30s --timeout=10s --start-period=10s --retries=3 CMD ["posthorn", "-q", "status"]
# SIGTERM: stop claiming, let conversations end, record, go.
STOPSIGNAL SIGTERM
ENTRYPOINT ["posthorn"]
CMD ["serve"]
