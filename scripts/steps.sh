# Runs the steps of scripts/check and scripts/test: functions step_NAME. GATE and FULL list the steps of each size in their order.
# shellcheck shell=bash

SIZE="gate"
# Test filter: the arguments after `--`.
# shellcheck disable=SC2034 # scripts/test reads it.
FILTER=()
CHOSEN=""
PASSED=0
STEP="set-up"
TIMES=""

# if_long ONE OTHER: prints ONE in a long run, otherwise OTHER.
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

# run_steps: runs the chosen steps in order until one fails. Under .ci/run the scripts write their steps' seconds to the folder NATTER_SUMMARY, and
# .ci/run prints the result of both.
run_steps() {
  local started
  mkdir -p "$CACHE"
  for STEP in $CHOSEN; do
    say "== $STEP"
    started=$SECONDS
    # Never in a condition: bash would then continue after a failed command. The step does not inherit the locks of the target folder, because
    # a server that it leaves behind would hold them.
    "step_$STEP" 8>&- 9>&-
    TIMES="$TIMES$(printf '%6d s  %s' $((SECONDS - started)) "${NATTER_SUMMARY:+${0##*/} }$STEP")"$'\n'
    PASSED=$((PASSED + 1))
  done
}

# Exit trap: prints the seconds of each step, the report of the tests (report_tests, if the script defines it) and the result.
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

# unless_passed NAME COMMAND…: skips the command if it passed on this machine with the current sources of the web app and the current openapi/.
unless_passed() {
  local stamp="$CACHE/passed-$1" now
  now="$(frontend_fingerprint) $(cat "$ROOT"/openapi/*.json | sha256sum)"
  if [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then
    say "Skipped: it passed with the same sources of the web app."
    return
  fi
  "${@:2}"
  echo "$now" >"$stamp"
}
