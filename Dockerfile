# The operator's image. The static binary is built first, and lies in the build context:
#   docker build -f Dockerfile DIRECTORY-WITH-winddown
FROM scratch

ARG VERSION=dev
ARG REVISION=unknown
LABEL org.opencontainers.image.title="winddown" \
      org.opencontainers.image.description="Kubernetes workloads that shut down without dropping a request" \
      org.opencontainers.image.source="https://github.com/winddown/winddown" \
      org.opencontainers.image.licenses="Apache-2.0" \
      org.opencontainers.image.version="$VERSION" \
      org.opencontainers.image.revision="$REVISION"

COPY winddown /winddown
USER 65532:65532
ENTRYPOINT ["/winddown"]
