# Runs the steps of scripts/check and scripts/test: functions step_NAME, of which GATE and FULL name those of each size in their order.
# shellcheck shell=bash

SIZE="gate"
# What stands behind `--`: which tests.
# shellcheck disable=SC2034 # scripts/test reads it.
FILTER=()
CHOSEN=""
PASSED=0
STEP="set-up"
TIMES=""

# if_long ONE OTHER: the one in a long run.
if_long() { if [ "$SIZE" = long ]; then echo "$1"; else echo "$2"; fi; }

# parse_arguments [full | long] [STEP…] [-- FILTER…]
parse_arguments() {
  while [ $# -gt 0 ]; do
    case "$1" in
      --list)
        printf 'gate: %s\nfull: %s\n' "$GATE" "$FULL"
        exit
        ;;
      --)
        shift
        # shellcheck disable=SC2034
        FILTER=("$@")
        break
        ;;
      full | long) SIZE="$1" ;;
      *)
        [[ " $GATE $FULL " == *" $1 "* ]] || fail "There is no step $1; scripts/check --list and scripts/test --list name the steps."
        CHOSEN="$CHOSEN $1"
        ;;
    esac
    shift
  done
  if [ -z "$CHOSEN" ]; then CHOSEN="$(if [ "$SIZE" = gate ]; then echo "$GATE"; else echo "$FULL"; fi)"; fi
}

# run_steps: runs the chosen ones, one after the other, until one fails. .ci/run names a folder (NATTER_SUMMARY) in which its two scripts leave
# their steps' seconds, and says itself how it all ended.
run_steps() {
  local started
  mkdir -p "$CACHE"
  for STEP in $CHOSEN; do
    say "== $STEP"
    started=$SECONDS
    # Never in a condition: there bash would go on after a command that failed. Without the locks of the target folder, which a server that a step
    # left behind must not hold.
    "step_$STEP" 8>&- 9>&-
    TIMES="$TIMES$(printf '%6d s  %s' $((SECONDS - started)) "${NATTER_SUMMARY:+${0##*/} }$STEP")"$'\n'
    PASSED=$((PASSED + 1))
  done
}

# Says how it ended; report_tests, where the script has one, is called between the steps' seconds and the last line.
finish() {
  local status=$?
  stop_services
  if [ -z "${NATTER_SUMMARY:-}" ]; then printf '%s' "$TIMES"; fi
  if declare -F report_tests >/dev/null; then report_tests; fi
  if [ -n "${NATTER_SUMMARY:-}" ]; then
    printf '%s' "$TIMES" >>"$NATTER_SUMMARY/times"
    if [ "$status" != 0 ]; then echo "${0##*/} $STEP" >"$NATTER_SUMMARY/failed"; fi
  elif [ "$status" = 0 ]; then
    echo "PASSED: $PASSED steps in $SECONDS s"
  else
    echo "FAILED: step $STEP, after $PASSED that passed, $SECONDS s"
  fi
}

# unless_passed NAME COMMAND…: leaves out what has passed on this machine with the web app and the API's description as they are now.
unless_passed() {
  local stamp="$CACHE/passed-$1" now
  now="$(frontend_fingerprint) $(sha256sum <"$ROOT/openapi.json")"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then
    say "The web app is as it was when it passed."
    return
  fi
  "${@:2}"
  echo "$now" >"$stamp"
}
