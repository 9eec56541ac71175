#!/bin/sh
# Evaluates (or, with `tune`, tunes) every model on every data set that is there; see
# docs/evaluation.md. What is done stands in OUT and is not done again. SETS names data sets and
# protocols, ARGS goes to the command, and JOBS says how many run side by side, a core each; what a
# set prints appears when it is done.
set -eu
action=${1:-evaluate}
set_name=${2:-}
OUT=${OUT:-build/evaluation}
SETS=${SETS:-"beauty:leave_one_out gowalla:given movielens-100k:leave_one_out \
complete-journey:prequential beauty:cold_items online-retail:temporal complete-journey:temporal \
retailrocket:temporal_next complete-journey:cold_items complete-journey:cold_users"}
export OUT

if [ -z "$set_name" ]; then # all of them, the longest first
  mkdir -p "$OUT"
  began=$(date +%s)
  # shellcheck disable=SC2086 # SETS are several words
  printf '%s\n' $SETS | xargs -P "${JOBS:-2}" -I '{}' sh "$0" "$action" '{}' || failed=1
  echo "== all: $(($(date +%s) - began)) s"
  [ -z "${failed:-}" ] || { echo "some data sets were left out; the reasons stand above" >&2; exit 1; }
  exit
fi

data=${set_name%%:*}
protocol=${set_name##*:}
results="$OUT/$data.$protocol"
began=$(date +%s)
echo "== $data, $protocol: begun"
# shellcheck disable=SC2086 # ARGS are several words
if [ "$action" = tune ]; then
  .venv/bin/interest-graph tune --data "$data" --protocol "$protocol" ${ARGS:-} \
    >"$results.log" 2>&1 || failed=1
else
  .venv/bin/interest-graph evaluate --data "$data" --protocol "$protocol" \
    --json "$results.json" --plot "$results.svg" ${ARGS:-} >"$results.log" 2>&1 || failed=1
fi
cat "$results.log"
echo "== $data, $protocol: $(($(date +%s) - began)) s"
[ -z "${failed:-}" ]
