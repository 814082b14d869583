# shellcheck shell=bash disable=SC2034 # used by the scripts that source it
# What the scripts in this folder share. Source it; it expects `set -euo pipefail`.

shopt -s inherit_errexit

repository=$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)

die() { echo "$(basename "$0"): $*" >&2; exit 1; }
step() { echo "==> $*" >&2; }

# The architecture of this machine, by the name that container images use.
host_architecture() {
  case $(uname -m) in
    x86_64) echo amd64 ;;
    aarch64|arm64) echo arm64 ;;
    *) die "there is no release for the architecture $(uname -m)" ;;
  esac
}

# The version of the workspace, without cargo: `make image` needs only a container engine.
version() { sed -n '/^\[workspace\.package\]/,/^\[/s/^version = "\(.*\)"$/\1/p' "$repository/Cargo.toml"; }
revision() { git -C "$repository" rev-parse HEAD 2> /dev/null || echo unknown; }
commit_time() { git -C "$repository" log -1 --format=%ct; }
