# shellcheck shell=bash disable=SC2034 # used by the scripts that source it
# Which images the demo and the cluster tests need (names as for `build`).

operator_images='winddown load node-http'
article_images='node-service node-service-sigint axum-service go-service asgi-service redis kafka mongodb'
