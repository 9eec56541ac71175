#!/bin/sh
# Evaluates (or, with `tune`, tunes) every model on every data set that is there; see
# docs/evaluation.md. What is done stands in OUT and is not done again. SETS names data sets and
# protocols, ARGS goes to the command, and JOBS says how many run side by side, a core each; what a
# set prints appears when it is done. Where not every model can be asked, it says which are.
set -eu
action=${1:-evaluate}
set_name=${2:-}
OUT=${OUT:-build/evaluation}
# Beauty's first set encodes its texts, which the second then finds: the two not side by side.
SETS=${SETS:-"beauty:leave_one_out gowalla:given beauty:cold_users movielens-100k:leave_one_out \
retailrocket:temporal_next complete-journey:prequential online-retail:temporal \
beauty:cold_items complete-journey:temporal online-retail:prequential"}
UNSEEN=interest_graph,text_knn,popularity,recent_popularity,personal_popularity,item_knn,sequence_knn
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
models= as=
case "$protocol" in
cold_items) models=$UNSEEN ;;
cold_users) as=leave_one_out ;;
prequential)
  models=interest_graph,personal_popularity # each is fitted again week after week
  as="temporal, or temporal_next"
  ;;
esac
began=$(date +%s)
echo "== $data, $protocol: begun"
# shellcheck disable=SC2086 # ARGS are several words
if [ "$action" = tune ] && [ -n "${as:-}" ]; then
  echo "hyperparameters are those tuned for $as" >"$results.log"
elif [ "$action" = tune ]; then
  .venv/bin/interest-graph tune --data "$data" --protocol "$protocol" \
    ${models:+--models "$models"} ${ARGS:-} \
    >"$results.log" 2>&1 || failed=1
else
  .venv/bin/interest-graph evaluate --data "$data" --protocol "$protocol" \
    ${models:+--models "$models"} --retrain-days 7 \
    --json "$results.json" --plot "$results.svg" ${ARGS:-} >"$results.log" 2>&1 || failed=1
fi
cat "$results.log"
echo "== $data, $protocol: $(($(date +%s) - began)) s"
[ -z "${failed:-}" ]
