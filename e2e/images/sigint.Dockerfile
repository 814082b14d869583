# An app that is stopped by SIGINT instead of SIGTERM.
ARG IMAGE
FROM ${IMAGE}
STOPSIGNAL SIGINT
