# Sourced by the scripts here: how they speak. Colours only on a terminal, errors on stderr, and every
# error says what to do about it.
# shellcheck shell=bash

if [[ -t 1 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  bold=$'\e[1m' dim=$'\e[2m' green=$'\e[32m' plain=$'\e[0m'
else
  bold='' dim='' green='' plain=''
fi
if [[ -t 2 && -z ${NO_COLOR:-} && ${TERM:-dumb} != dumb ]]; then
  red=$'\e[31m' yellow=$'\e[33m' plain2=$'\e[0m'
else
  red='' yellow='' plain2=''
fi

# What is being done now.
step() { printf '%s==>%s %s\n' "$bold" "$plain" "$*"; }
# What came of it.
done_line() { printf '%s ok%s %s\n' "$green" "$plain" "$*"; }
warn() { printf '%swarning:%s %s\n' "$yellow" "$plain2" "$*" >&2; }

# fail MESSAGE [WHAT TO DO]...: ends the script with exit code 1.
fail() {
  printf '%serror:%s %s\n' "$red" "$plain2" "$1" >&2
  shift
  local advice
  for advice in "$@"; do printf '       %s\n' "$advice" >&2; done
  exit 1
}

# usage_error MESSAGE: ends the script with exit code 2.
usage_error() {
  printf '%serror:%s %s\n       %s --help shows the options.\n' "$red" "$plain2" "$1" "$(display_path "$0")" >&2
  exit 2
}

# next_lines "COMMAND | what it does"...: what to type now.
next_lines() {
  local line command width=0
  for line in "$@"; do
    command=${line%% | *}
    if ((${#command} > width)); then width=${#command}; fi
  done
  printf '\n%sNext:%s\n' "$bold" "$plain"
  for line in "$@"; do printf "  %-${width}s   %s%s%s\n" "${line%% | *}" "$dim" "${line#* | }" "$plain"; done
}

# A path as the user would type it from where they stand.
display_path() {
  local path=$1 stand
  stand=$(pwd -P)
  if [[ $path == "$stand"/* ]]; then path=${path#"$stand"/}; fi
  printf '%q' "$path"
}

# script NAME: one of these scripts, as the user would type it from where they stand.
script() { display_path "$here/$1"; }

# required_value OPTION ARGUMENTS-LEFT: an option that takes a value must have one.
required_value() { (($2 >= 2)) || usage_error "$1 needs a value."; }
