# shellcheck shell=bash disable=SC2034 # used by those that source it
# What the commands in this folder share. Source it; it expects `set -euo pipefail`.

shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(dirname "$here")/tools
name=winddown

# The cache outlives the cluster; the run folder holds what belongs to the running one.
cache=${WINDDOWN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/winddown}
if [ "$(id -u)" = 0 ] && [ -d /run ]; then run=/run/winddown; else run=$cache/run; fi
netns=$name
kubeconfig=$run/kubeconfig

# The image that the pinned kind was released with, unless a version is asked for.
if [ -n "${KUBERNETES_VERSION:-}" ]; then
  stock_image=kindest/node:$KUBERNETES_VERSION
else
  stock_image=kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5
fi

# one line per step, with the seconds since the first command (they call each other)
export WINDDOWN_STARTED=${WINDDOWN_STARTED:-$EPOCHSECONDS}
step() { printf '[%4d s] %s\n' "$((EPOCHSECONDS - WINDDOWN_STARTED))" "$*" >&2; }
die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# Last lines of something that explains a failure, under a heading.
explain() { # heading, command...
  local heading=$1; shift
  printf -- '---- %s\n' "$heading" >&2
  "$@" 2>&1 | tail -n 20 | cut -c 1-300 | sed 's/^/     /' >&2 || true
}

# stock: kind's own images on the container engine that is there. source: everything from packages and Go modules.
mode_running() { cat "$run/mode" 2> /dev/null || true; }

choose_mode() {
  if [ -n "${WINDDOWN_CLUSTER:-}" ]; then echo "$WINDDOWN_CLUSTER"; return; fi
  if command -v docker > /dev/null && timeout 10 docker info > /dev/null 2>&1 &&
    { docker image inspect "$stock_image" > /dev/null 2>&1 || timeout 20 docker manifest inspect "$stock_image" > /dev/null 2>&1; }; then
    echo stock
  else
    echo source
  fi
}

# Sets PATH and the variables with which docker, kind and kubectl find the cluster of this mode.
enter_mode() {
  mode=$1
  export KUBECONFIG=$kubeconfig WINDDOWN_KIND_CLUSTER=$name WINDDOWN_CLUSTER_MODE=$mode
  if [ "$mode" = source ]; then
    export DOCKER_HOST=unix://$run/docker.sock
    unset DOCKER_CONTEXT
  fi
  # without the buildx plugin the docker client has only the classic builder, and says so only as an error
  if [ "$mode" = source ] || ! docker buildx version > /dev/null 2>&1; then export DOCKER_BUILDKIT=0; fi
}

# Runs a command where the cluster's addresses mean something. (Not `ip netns exec`: it hides the cgroups.)
inside() {
  if [ "$mode" = source ]; then nsenter "--net=/var/run/netns/$netns" "$@"; else "$@"; fi
}

# Puts tools on PATH, building those that are missing. On a stock cluster the ones already on PATH will do.
need_tools() {
  local tool wanted=() dirs
  for tool in "$@"; do
    if [ "$mode" = source ] || ! command -v "$tool" > /dev/null; then wanted+=("$tool"); fi
  done
  [ ${#wanted[@]} -gt 0 ] || return 0
  dirs=$("$tools/get" "${wanted[@]}") || exit 1
  PATH=$dirs:$PATH
}

# Is every node there and ready, and do DNS and services work?
healthy() {
  local nodes
  [ -s "$kubeconfig" ] || return 1
  nodes=$(inside kubectl --request-timeout=5s get nodes --no-headers 2> /dev/null) || return 1
  [ "$(grep -cE '^\S+\s+Ready' <<< "$nodes")" = "$(grep -c 'role:' "$here/nodes.yaml")" ] || return 1
  [ "$(inside kubectl --request-timeout=5s -n kube-system get deployment coredns -o 'jsonpath={.status.availableReplicas}')" -ge 1 ] 2> /dev/null
}

need_cluster() {
  local running
  running=$(mode_running)
  if [ -z "$running" ]; then die "there is no cluster, start one with e2e/cluster/up"; fi
  enter_mode "$running"
  [ "$mode" = source ] || return 0
  # the running cluster's programs, whatever else is asked for
  if [ -s "$run/version" ]; then KUBERNETES_VERSION=$(cat "$run/version"); export KUBERNETES_VERSION; fi
  if ! [ -e "/var/run/netns/$netns" ]; then
    die "the cluster's network namespace is gone, start again with e2e/cluster/down and e2e/cluster/up"
  fi
}
