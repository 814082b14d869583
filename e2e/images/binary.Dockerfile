# A static binary that was built before. The context is its folder.
FROM scratch
ARG BINARY
COPY ${BINARY} /program
USER 65532:65532
ENTRYPOINT ["/program"]
