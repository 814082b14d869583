# shellcheck shell=bash disable=SC2034 # used by the scripts that source it
# What `check` and `test` share: the programs that they need. Source it with `set -euo pipefail`.

# shellcheck source-path=SCRIPTDIR source=../steps.sh
. "$(dirname "${BASH_SOURCE[0]}")/../steps.sh"
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)

# The packages are in the cache, where all checkouts share them; Node.js looks for them in this folder.
packages() {
  local key folder
  key=$(cat "$here"/{package-lock.json,.npmrc} | sha256sum | cut -c1-12)
  folder=$cache/browser-$key
  mkdir -p "$folder"
  exec 9> "$folder/.lock"
  flock 9
  if [ ! -d "$folder/node_modules" ]; then
    step 'packages of e2e/browser from npm, once'
    rm -rf "$folder/new"
    mkdir "$folder/new"
    cp "$here"/{package.json,package-lock.json,.npmrc} "$folder/new"
    (PATH=$node:$PATH logged npm-browser "$here/../tools/npm-ci" --prefix "$folder/new") 9>&-
    mv "$folder/new/node_modules" "$folder/node_modules"
  fi
  if [ "$(readlink "$here/node_modules")" != "$folder/node_modules" ]; then
    [ -L "$here/node_modules" ] || [ ! -e "$here/node_modules" ] || die "remove $here/node_modules: it is not the link to the cache"
    ln -sfn "$folder/node_modules" "$here/node_modules"
  fi
  exec 9>&-
}

# Sets `node`, a folder for PATH, and `chromium`. Otherwise sets `missing` to what is missing, and fails.
get_programs() {
  if ! command -v npm > /dev/null; then missing=npm; return 1; fi
  if ! chromium=$("$here/../tools/chromium"); then missing=Chromium; return 1; fi
  node=$("$here/../tools/node") || exit
  packages
}
