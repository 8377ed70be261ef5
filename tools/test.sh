#!/usr/bin/env bash
# Builds leat and runs its tests; installs what is missing first. A second run builds only what changed.
#   ./tools/test.sh                      release: everything; then asan and tsan: the tests labelled "concurrency", and
#                                        libFuzzer for some seconds (tools/fuzz.sh); locks are checked by clang
#   LEAT_PRESET=tsan ./tools/test.sh     that preset alone (release, dev, asan, tsan), all tests
#   LEAT_JOBS=8 ./tools/test.sh          with other than 2 jobs at once
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/packages.sh

run_tests() { # PRESET [ctest options]...
  ctest --test-dir "build/$1" --output-on-failure --parallel "${LEAT_JOBS:-2}" "${@:2}"
}

preset=${LEAT_PRESET:-}
case $preset in
  '' | release | dev | asan | tsan) ;;
  *)
    echo "leat: LEAT_PRESET=$preset has no tests (accepted: release, dev, asan, tsan)" >&2
    exit 2
    ;;
esac

install_packages "${leat_build_packages[@]}" "${leat_test_packages[@]}" "${leat_clang_packages[@]}"
if [[ -n $preset ]]; then
  configure "$preset" LEAT_BUILD_TESTS=ON
  build "$preset" all
  run_tests "$preset"
  exit
fi

configure release LEAT_BUILD_TESTS=ON LEAT_BUILD_BENCH=ON LEAT_BUILD_EXAMPLES=ON
build release all
run_tests release
for preset in asan tsan; do
  options=(LEAT_BUILD_TESTS=ON)
  [[ $preset == tsan ]] && options+=(LEAT_BUILD_BENCH=ON) # leat's rows of two benchmarks are run there
  configure "$preset" "${options[@]}"
  build "$preset" leat_concurrency_tests
  run_tests "$preset" --label-regex '^concurrency$'
done
tools/fuzz.sh
