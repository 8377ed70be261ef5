#!/usr/bin/env bash
# Builds the libFuzzer targets (preset asan: clang, which refuses what touches a field without its mutex) and runs each
# on its corpus. What is found anew is kept in build/asan/corpus; a failing input lies there as well, and is printed.
#   ./tools/fuzz.sh [SECONDS]            each target for so long (default 4)
#   ./tools/fuzz.sh merge                writes what build/asan/corpus adds in coverage into tests/fuzz/corpus
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/packages.sh

install_packages "${leat_build_packages[@]}" "${leat_clang_packages[@]}"
configure asan LEAT_BUILD_FUZZERS=ON
build asan leat_fuzzers

run() { # NAME SECONDS
  local found=build/asan/corpus/$1
  mkdir -p "$found"
  # The same seed: what a run in CI finds, it finds again.
  "build/asan/tests/fuzz/fuzz_$1" -seed=1 -max_total_time="$2" -timeout=20 -rss_limit_mb=2048 -max_len=1024 \
    -artifact_prefix="$found/" -verbosity=0 -print_final_stats=1 "$found" "tests/fuzz/corpus/$1" >"$found.log" 2>&1 || {
    tail -n 60 "$found.log"
    echo "leat: fuzz_$1 failed (above)"
    return 1
  }
  echo "fuzz_$1: $(sed -n 's/^stat::number_of_executed_units: *//p' "$found.log") inputs, nothing found"
}

targets=(cron records route_table store values workflow_file)
if [[ ${1:-} == merge ]]; then
  for name in "${targets[@]}"; do
    "build/asan/tests/fuzz/fuzz_$name" -merge=1 -max_len=1024 "tests/fuzz/corpus/$name" "build/asan/corpus/$name"
  done
  exit
fi
export -f run
printf '%s\n' "${targets[@]}" | xargs -P "${LEAT_JOBS:-2}" -I{} bash -c "run {} ${1:-4}"
