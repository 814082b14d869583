# The operator's image, built from a clone with nothing but a container engine:  make image
# (A release and the cluster tests put a binary that is built already into the same image: release/Dockerfile.)
ARG BUILDER_IMAGE=rust:1.95.0-bookworm
FROM ${BUILDER_IMAGE} AS build
WORKDIR /src
COPY . .
ARG PROFILE=release
RUN binary=$(release/binary --image) && cp "$binary" /winddown

FROM scratch
ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="winddown" \
      org.opencontainers.image.description="Kubernetes workloads that shut down without dropping a request" \
      org.opencontainers.image.source="https://github.com/winddown/winddown" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"
COPY --from=build /winddown /winddown
USER 65532:65532
ENTRYPOINT ["/winddown"]
