#!/bin/sh
# Evaluates (or, with `tune`, tunes) every model on every data set that is there; see
# docs/evaluation.md. What is done stands in OUT and is not done again. SETS names data sets and
# protocols, ARGS goes to the command.
set -eu
action=${1:-evaluate}
OUT=${OUT:-build/evaluation}
SETS=${SETS:-"movielens-100k:leave_one_out beauty:leave_one_out complete-journey:temporal \
online-retail:temporal retailrocket:temporal_next gowalla:given beauty:cold_items \
complete-journey:cold_items complete-journey:cold_users complete-journey:prequential"}
MALLOC_MMAP_MAX_=0 MALLOC_TRIM_THRESHOLD_=8000000000 MALLOC_TOP_PAD_=500000000
export MALLOC_MMAP_MAX_ MALLOC_TRIM_THRESHOLD_ MALLOC_TOP_PAD_
mkdir -p "$OUT"
for set in $SETS; do
  data=${set%%:*}
  protocol=${set##*:}
  echo "== $data, $protocol"
  began=$(date +%s)
  if [ "$action" = tune ]; then
    # shellcheck disable=SC2086 # ARGS are several words
    .venv/bin/interest-graph tune --data "$data" --protocol "$protocol" ${ARGS:-} || failed=1
  else
    # shellcheck disable=SC2086
    .venv/bin/interest-graph evaluate --data "$data" --protocol "$protocol" \
      --json "$OUT/$data.$protocol.json" --plot "$OUT/$data.$protocol.svg" ${ARGS:-} || failed=1
  fi
  echo "== $data, $protocol: $(($(date +%s) - began)) s"
done
[ -z "${failed:-}" ] || { echo "some data sets were left out; the reasons stand above" >&2; exit 1; }
