# shellcheck shell=bash disable=SC2034 # used by the scripts that source it
# What the commands in this folder share. Source it with `set -euo pipefail`.

shopt -s inherit_errexit

here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
tools=$(dirname "$here")/tools
name=winddown
# shellcheck source-path=SCRIPTDIR source=../steps.sh
. "$here/../steps.sh"

# The cache outlives the cluster; the run folder holds what belongs to the running one.
if [ "$(id -u)" = 0 ] && [ -d /run ]; then run=/run/winddown; else run=$cache/run; fi
netns=$name

# Programs by what needs them: the API tests; the nodes of a cluster from source.
api_programs='kube-apiserver kube-controller-manager kubectl etcd'
kubernetes_programs="$api_programs kube-scheduler kube-proxy kubelet kubeadm"
other_node_programs='containerd containerd-shim-runc-v2 ctr crictl coredns'
kubeconfig=$run/kubeconfig

# The image that the pinned kind was released with, unless a version is asked for.
if [ -n "${KUBERNETES_VERSION:-}" ]; then
  stock_image=kindest/node:$KUBERNETES_VERSION
else
  stock_image=kindest/node:v1.37.0@sha256:a1ed56cfb0e7b93589bdf97c8cd566405a265939e3620fc4f5de89adff580ae5
fi

# stock: kind's own images on the container engine of this machine. source: everything from packages and Go modules.
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
  # without the buildx plugin the docker client has only the classic builder, and fails unless it is chosen
  if [ "$mode" = source ] || ! docker buildx version > /dev/null 2>&1; then export DOCKER_BUILDKIT=0; fi
}

need_root() {
  [ "$(uname)" = Linux ] || die 'without a container engine that can pull images this needs Linux'
  [ "$(id -u)" = 0 ] || die 'without a container engine that can pull images this needs root (packages, network namespace, container engine)'
}

# The operator's image contains a static binary, which is built for this machine's architecture.
rust_host() { rustc -vV | sed -n 's/^host: //p'; }
operator_binary() {
  local host; host=$(rust_host)
  [[ $host == *-linux-gnu ]] || die "the operator's image needs a static Linux binary, and the compiler of this machine builds for $host"
  echo "${CARGO_TARGET_DIR:-target}/$host/release/winddown"
}

# Runs a command in the cluster's network. (Not `ip netns exec`: it hides the cgroups.)
inside() {
  if [ "$mode" = source ]; then nsenter "--net=/var/run/netns/$netns" "$@"; else "$@"; fi
}

# Puts tools on PATH, and builds those that are missing. For a stock cluster the tools on PATH are used if they are there.
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
  # the programs of the running cluster, even if another version is asked for
  if [ -s "$run/version" ]; then KUBERNETES_VERSION=$(cat "$run/version"); export KUBERNETES_VERSION; fi
  if ! [ -e "/var/run/netns/$netns" ]; then
    die "the cluster's network namespace is gone, start again with e2e/cluster/down and e2e/cluster/up"
  fi
}
