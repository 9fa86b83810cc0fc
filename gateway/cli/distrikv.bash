# Completion of distrikv for bash: commands and options are what the program's own --help says there are.

_distrikv() {
  local program=${COMP_WORDS[0]} word=${COMP_WORDS[COMP_CWORD]} previous=${COMP_WORDS[COMP_CWORD - 1]}
  local help commands options choices='' i
  local -a chosen=()
  COMPREPLY=()
  case $previous in
    --ack) choices='committed local' ;;
    --format) choices='json msgpack' ;;
    --store) choices='lmdb memory' ;;
    --failover) choices='standard fast' ;;
    --node | --timeout | --once | --start | --end | --limit | --to | --ttl | --if-version | --shards | --replicas | --base) return ;;
    --topology | --session) return ;;  # a file: bash does that
  esac
  if [[ -z $choices ]]; then
    help=$("$program" --help 2>/dev/null) || return
    for ((i = 1; i < COMP_CWORD; i++)); do
      commands=$(_distrikv_commands <<<"$help")
      grep -qxF -e "${COMP_WORDS[i]}" <<<"$commands" || continue
      chosen+=("${COMP_WORDS[i]}")
      help=$("$program" "${chosen[@]}" --help 2>/dev/null) || return
    done
    commands=$(_distrikv_commands <<<"$help")
    options=$(grep -oE '^ +(-h,)?--[a-z-]+' <<<"$help" | grep -oE -e '--[a-z-]+')
    choices=$commands
    if [[ $word == -* ]]; then choices=$options; fi
  fi
  mapfile -t COMPREPLY < <(compgen -W "$choices" -- "$word")
}

# The commands that a help text on stdin lists.
_distrikv_commands() { sed -n '/^Subcommands:/,/^$/s/^  \([a-z][a-z-]*\) .*/\1/p'; }

complete -o default -F _distrikv distrikv
