#!/bin/sh
# Plays everything that has chances, with new seeds, until the time is up; the first failure ends it and says how to see it again.
# SOAK_MINUTES (30), TEST_THREADS (4), XBT_SCHEDULES (300000), PROPTEST_CASES (2000), XBT_ROUNDS (200), XBT_LEAKS (1000) and
# XBT_STOP_SECONDS (60) may be set.
set -eu

minutes=${SOAK_MINUTES:-30}
began=$(date +%s)
XBT_UNTIL=$((began + minutes * 60))
XBT_SCHEDULES=${XBT_SCHEDULES:-300000}
PROPTEST_CASES=${PROPTEST_CASES:-2000}
XBT_ROUNDS=${XBT_ROUNDS:-200}
XBT_LEAKS=${XBT_LEAKS:-1000}
XBT_STOP_SECONDS=${XBT_STOP_SECONDS:-60}
export XBT_UNTIL XBT_SCHEDULES PROPTEST_CASES XBT_ROUNDS XBT_LEAKS XBT_STOP_SECONDS

log=$(mktemp "${TMPDIR:-/tmp}/xbt-soak-XXXXXX")
trap 'rm -f "$log"' EXIT
pass=0
while [ "$(date +%s)" -lt "$XBT_UNTIL" ]; do
    pass=$((pass + 1))
    # Far from the seeds of the next pass: each round adds one.
    XBT_SEED=$(($(date +%s) * 1000))
    export XBT_SEED
    echo "pass $pass: seed $XBT_SEED, $(((XBT_UNTIL - $(date +%s)) / 60)) minutes left"
    # First the rules alone, then what has properties, then whole processes, each for as long as there is time.
    if ! { ${CARGO:-cargo} test -q -p xbt-core -- --show-output schedule >"$log" 2>&1 &&
        ${CARGO:-cargo} test -q -p xbt-torrent -p xbtd --lib -- --show-output \
            bencode names wire metadata metainfo convert guard config:: >>"$log" 2>&1 &&
        ${CARGO:-cargo} test -q -p xbt-tests --test e2e -- --show-output --test-threads="${TEST_THREADS:-4}" \
            fire:: crash:: server:: queue:: devices:: source:: space:: intruder:: >>"$log" 2>&1; }; then
        cat "$log"
        echo "the soak failed in pass $pass (seed $XBT_SEED) after $((($(date +%s) - began) / 60)) minutes; how to see it again stands above" >&2
        exit 1
    fi
    grep -E '(rounds|schedules), first seed|[0-9]+ kills$|power cuts|did not run|: before |^test result' "$log"
done
echo "$pass passes in $((($(date +%s) - began) / 60)) minutes without a finding"
