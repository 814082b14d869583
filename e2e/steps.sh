# shellcheck shell=bash disable=SC2034 # used by the scripts that source it
# What the scripts of this folder share: messages, and steps that run side by side. Source it with `set -euo pipefail`.

cache=${WINDDOWN_CACHE:-${XDG_CACHE_HOME:-$HOME/.cache}/winddown}

# One line per step, with the seconds since the first script began (they call each other).
export WINDDOWN_STARTED=${WINDDOWN_STARTED:-$EPOCHSECONDS}
step() { printf '[%4d s] %s\n' "$((EPOCHSECONDS - WINDDOWN_STARTED))" "$*" >&2; }
die() { echo "$(basename "$0"): $*" >&2; exit 1; }

# For tests that need a missing program: they are skipped, or it is an error with REQUIRE_ALL=1, as in .ci/run.
skip() { # program, tests
  [ -z "${REQUIRE_ALL:-}" ] || die "$1 is not installed: it is needed for $2"
  echo "$1 is not installed: $2 are skipped" >&2
}

# The last lines of something that explains a failure, under a heading.
explain() { # heading, command...
  local heading=$1; shift
  printf -- '---- %s\n' "$heading" >&2
  "$@" 2>&1 | tail -n 20 | cut -c 1-300 | sed 's/^/     /' >&2 || true
}

# Runs a command with its output in a log, and shows the end of the log only if the command fails.
logged() { # name of the log, command...
  local log=$cache/log/$1.log; shift
  mkdir -p "$cache/log"
  "$@" > "$log" 2>&1 || { explain "$log" cat "$log"; die "failed: $*"; }
}

# Runs functions side by side and waits for all of them. The first that fails ends the others.
declare -A parallel=()
end_parallel() {
  local id
  for id in "${!parallel[@]}"; do kill -TERM -- "-$id" 2> /dev/null || true; done
}
in_parallel() { # function...
  local function id
  trap end_parallel EXIT
  for function in "$@"; do
    set -m # a process group for each, so that it can be ended with everything it started
    "$function" < /dev/null &
    set +m
    parallel[$!]=$function
  done
  while [ ${#parallel[@]} -gt 0 ]; do
    id=''
    if wait -n -p id "${!parallel[@]}"; then
      unset "parallel[$id]"
    else
      function=${parallel[$id]:-}
      unset "parallel[$id]"
      die "the step '$function' failed, the others are stopped"
    fi
  done
  trap - EXIT
}
