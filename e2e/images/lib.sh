# shellcheck shell=bash disable=SC2034 # used by the scripts that source it
# What `get` and `build` share: where the contents of the images are. Source it in the root of the repository.

# shellcheck source-path=SCRIPTDIR source=../cluster/lib.sh
. e2e/cluster/lib.sh

axum_service=${CARGO_TARGET_DIR:-target}/$(rust_host)/release/axum-service

# The folder with node_modules of an example in Node.js: it contains a copy of the library, too.
node_modules() { # example
  local key
  key=$(cd packages/winddown-node && find . -type f -not -path './node_modules/*' -not -path './dist/*' -not -path './test*' -not -path './comparison/*' -print0 |
    LC_ALL=C sort -z | xargs -0 sha256sum | cat - "../../examples/$1/package-lock.json" "../../e2e/tools/nodejs/package-lock.json" |
    sha256sum | cut -c1-12)
  echo "$cache/node_modules/$1-$key/examples/$1"
}
