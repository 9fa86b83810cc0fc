# Sourced by run-multi, stop, remove-all and load-test: which nodes there are, and which of them run.
#
# A run folder (.run by default) holds for each node <node>/pid, <node>/log and <node>/data/. Its file
# .distrikv-run marks it as ours, names the topology file that it was made with, and is locked while a
# script starts or stops nodes.
# shellcheck shell=bash

: "${root:?the script that sources this sets it to the top of the tree}"
run_marker=.distrikv-run
# What stands before a command that asks nodes something; empty where they are reached from here.
asking=()

# lock_run_folder DIR: waits for other scripts that start or stop nodes in it.
lock_run_folder() {
  [[ -w $1 && (! -e $1/$run_marker || -w $1/$run_marker) ]] ||
    fail "the run folder $1 cannot be written to: it belongs to somebody else." "Work as that user, or give another folder with --run-dir."
  exec {run_lock}>>"$1/$run_marker"
  flock --wait 120 "$run_lock" || fail "another script has been starting or stopping nodes in $1 for two minutes." \
    "Wait for it, or end it, then try again."
}

# The topology file that a run folder was made with; nothing when there is none.
topology_of_run() { if [[ -f $1/$run_marker ]]; then head -n 1 -- "$1/$run_marker"; fi; }

# run_dir_option DIR: the option that makes the scripts use this run folder; nothing for the default one.
run_dir_option() { if [[ $1 != "$root/.run" ]]; then printf " --run-dir %s" "$(display_path "$1")"; fi; }

# is_alive PID: it exists and is not a zombie.
is_alive() {
  local state
  [[ $1 =~ ^[1-9][0-9]*$ ]] || return 1
  state=$(sed -n 's/^State:[[:space:]]*\(.\).*/\1/p' "/proc/$1/status" 2>/dev/null) || return 1
  [[ -n $state && $state != [ZX] ]]
}

# is_node PID NAME DATA: the process is a distrikvd that runs this node on this data folder. A pid that
# has gone to another program since is not.
is_node() {
  local exe arguments=() i name='' data=''
  is_alive "$1" || return 1
  mapfile -d '' -t arguments <"/proc/$1/cmdline" 2>/dev/null || return 1
  # Another user's process does not show its program; its command line then has to do.
  exe=$(readlink "/proc/$1/exe" 2>/dev/null) || exe=${arguments[0]:-}
  exe=${exe% (deleted)}  # the program was built anew while it runs
  [[ ${exe##*/} == distrikvd ]] || return 1
  for ((i = 1; i + 1 < ${#arguments[@]}; ++i)); do
    case ${arguments[i]} in
      --node) name=${arguments[i + 1]} ;;
      --data) data=${arguments[i + 1]} ;;
    esac
  done
  [[ $name == "$2" && $data == "$3" ]]
}

# running_pid RUN_DIR NODE: prints the pid of the node when it runs, else returns 1.
running_pid() {
  local pid
  [[ -f $1/$2/pid ]] || return 1
  pid=$(<"$1/$2/pid") || return 1
  is_node "$pid" "$2" "$1/$2/data" && printf '%s\n' "$pid"
}

# The names of the nodes that a run folder has folders for.
nodes_of_run() {
  local folder
  for folder in "$1"/*/; do
    [[ -d ${folder}data || -f ${folder}pid ]] && basename -- "$folder"
  done
  return 0
}

# is_ready HTTP: the node answers 200 on /readyz.
is_ready() { "${asking[@]}" curl -q --noproxy '*' --silent --fail --output /dev/null --max-time 2 "http://$1/readyz"; }

# stop_nodes RUN_DIR SECONDS: asks all running nodes to end, waits, and kills those that do not. Says
# nothing when none runs. Sets stopped to their number.
stop_nodes() {
  local run_dir=$1 seconds=$2 node pid deadline
  local -A pids=()
  local running=()
  for node in $(nodes_of_run "$run_dir"); do
    pid=$(running_pid "$run_dir" "$node") || continue
    pids[$node]=$pid
    running+=("$node")
  done
  stopped=${#running[@]}
  if ((stopped == 0)); then
    remove_stale_pids "$run_dir"
    return
  fi
  step "Stopping $stopped nodes: ${running[*]}"
  kill -TERM "${pids[@]}" 2>/dev/null || true
  deadline=$((SECONDS + seconds))
  while ((${#pids[@]} && SECONDS < deadline)); do
    sleep 0.1
    for node in "${!pids[@]}"; do
      is_node "${pids[$node]}" "$node" "$run_dir/$node/data" || unset "pids[$node]"
    done
  done
  for node in "${!pids[@]}"; do
    warn "$node (pid ${pids[$node]}) did not end within $seconds s of SIGTERM: killing it. Nothing acknowledged is lost; please report $run_dir/$node/log."
    kill -KILL "${pids[$node]}" 2>/dev/null || true
    while is_node "${pids[$node]}" "$node" "$run_dir/$node/data"; do sleep 0.1; done
  done
  remove_stale_pids "$run_dir"
}

# refuse_data_in_use RUN_DIR: ends the script when a node still works on a data folder, known to us or
# not (its pid file lost, the tree moved): a node holds its data/lock as long as it lives.
refuse_data_in_use() {
  local lock
  for lock in "$1"/*/data/lock; do
    [[ -f $lock ]] || continue
    flock --nonblock "$lock" true ||
      fail "a process ($(<"$lock")) still works on $(display_path "${lock%/lock}"), but is not known to be a node of this run folder." \
        "End it, then type this command again."
  done
}

remove_stale_pids() {
  local node
  for node in $(nodes_of_run "$1"); do
    running_pid "$1" "$node" >/dev/null || rm -f -- "$1/$node/pid"
  done
}

# programs_folder: prints where the programs are.
programs_folder() {
  local folder=${DISTRIKV_BIN:-$root/build/release/bin}
  [[ -x $folder/distrikvd && -x $folder/distrikv ]] ||
    fail "distrikvd and distrikv are not in $folder." "Type $(script build) first."
  (cd -- "$folder" && pwd)
}

# read_topology BIN FILE: fills names, and by name http, rpc and role, from what distrikv makes of the file.
# shellcheck disable=SC2034  # the caller reads them
read_topology() {
  local lines node http_endpoint rpc_endpoint roles
  lines=$("$1/distrikv" topology show --plain --topology "$2") || fail "the topology file cannot be used, see above."
  while read -r node http_endpoint rpc_endpoint roles; do
    names+=("$node")
    http["$node"]=$http_endpoint
    rpc["$node"]=$rpc_endpoint
    role["$node"]=${roles//:/ of }
  done <<<"$lines"
}
