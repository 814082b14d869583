# shellcheck shell=bash disable=SC2154
# A Docker daemon in a network namespace without a route to other networks: the machine's network is not reachable from it, and
# the machine's firewall is not changed. Source it after ../lib.sh.

data=$cache/docker # images outlive the cluster
cgroup=/winddown

engine_pid() { # of the running daemon, if `up` started it
  local pid
  pid=$(cat "$run/dockerd.pid" 2> /dev/null) || return 1
  grep -qsz "^$run/daemon.json$" "/proc/$pid/cmdline" && echo "$pid"
}

lacks_capabilities() {
  local held last
  held=$(sed -n 's/^CapBnd:\s*//p' /proc/self/status)
  last=$(cat /proc/sys/kernel/cap_last_cap)
  [ $((16#$held)) != $(((1 << (last + 1)) - 1)) ]
}

# Stops a process and waits for its end.
end() {
  kill "$1" 2> /dev/null || return 0
  for _ in $(seq 100); do kill -0 "$1" 2> /dev/null || return 0; sleep 0.2; done
  kill -KILL "$1" 2> /dev/null || true
}

# After a daemon died: stops its containerd and removes the files that would make the next daemon wait for it.
end_leftovers() {
  local pid
  pid=$(cat "$run/exec/containerd/containerd.pid" 2> /dev/null || true)
  if [ -n "$pid" ] && grep -qsz "^$run/exec/" "/proc/$pid/cmdline"; then end "$pid"; fi
  rm -f "$run/dockerd.pid" "$run/exec/containerd/containerd.pid"
}

# Runs a command without the files that the callers have open: a daemon would keep their locks.
without_other_files() {
  local file
  for file in /proc/"$BASHPID"/fd/*; do
    file=${file##*/}
    [ "$file" -le 2 ] || [ "$file" = 255 ] || eval "exec $file>&-"
  done
  exec "$@"
}

engine_start() {
  mkdir -p "$run" "$data"
  modprobe -a br_netfilter overlay > /dev/null 2>&1 || true # if they are modules
  [ -e "/var/run/netns/$netns" ] || ip netns add "$netns"
  nsenter "--net=/var/run/netns/$netns" sh -ec '
    ip link set lo up
    sysctl -qw net.ipv4.ip_forward=1 net.ipv4.conf.all.route_localnet=1
    # as on the nodes: ports for thousands of short connections
    sysctl -qw "net.ipv4.ip_local_port_range=10240 65535" net.ipv4.ip_local_reserved_ports=30000-32767
    sysctl -qw net.bridge.bridge-nf-call-iptables=1 net.netfilter.nf_conntrack_tcp_timeout_time_wait=30 || true'
  local runtime='{}'
  if lacks_capabilities; then
    runtime=$(jq -n --arg path "$here/source/runc-filter" '{"default-runtime": "filtered", runtimes: {filtered: {path: $path}}}')
  fi
  jq -n --arg data "$data" --arg run "$run" --arg cgroup "$cgroup" --argjson runtime "$runtime" '$runtime + {
      "data-root": $data, "exec-root": ($run + "/exec"), pidfile: ($run + "/dockerd.pid"), hosts: ["unix://" + $run + "/docker.sock"],
      "exec-opts": ["native.cgroupdriver=cgroupfs"], "cgroup-parent": $cgroup, "log-opts": {"max-size": "20m"}
    }' > "$run/daemon.json"
  end_leftovers
  ulimit -n "$(ulimit -Hn)"
  without_other_files setsid nsenter "--net=/var/run/netns/$netns" dockerd --config-file "$run/daemon.json" \
    > "$run/dockerd.log" 2>&1 < /dev/null &
  local launched=$!
  for _ in $(seq 200); do
    timeout 5 docker version > /dev/null 2>&1 && return 0
    kill -0 "$launched" 2> /dev/null || break
    sleep 0.2
  done
  explain "$run/dockerd.log" cat "$run/dockerd.log"
  die "dockerd did not start"
}

engine_stop() {
  local pid mount folder
  if pid=$(engine_pid); then end "$pid"; fi
  end_leftovers
  # innermost first
  awk '{print $2}' /proc/self/mounts | { grep -E "^($run|$data)(/|$)" || true; } | sort -r | while read -r mount; do umount -l "$mount"; done
  if [ -e "/var/run/netns/$netns" ]; then ip netns del "$netns"; fi
  if [ -d /run/netns ] && [ -z "$(ls -A /run/netns)" ]; then
    # `ip netns` makes the folder a mount and leaves it
    umount /run/netns 2> /dev/null || true
    rmdir /run/netns
  fi
  for folder in "/sys/fs/cgroup$cgroup" /sys/fs/cgroup/*"$cgroup"; do
    [ ! -d "$folder" ] || find "$folder" -depth -type d -exec rmdir {} + 2> /dev/null || true
  done
}
