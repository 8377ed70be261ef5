#!/usr/bin/env bash
# Prints which lines of routing/, storage/ and engine/ the tests execute, and lists those that none does. In a build of
# its own, without optimisation.
#   ./tools/coverage.sh                     all tests; about half an hour of two cores
#   ./tools/coverage.sh routing             the tests of one folder of tests/, and that module's lines alone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/packages.sh

modules=("${1:-routing}")
(($#)) || modules=(routing storage engine)
install_packages "${leat_build_packages[@]}" "${leat_test_packages[@]}" gcovr
configure coverage LEAT_BUILD_TESTS=ON LEAT_BUILD_EXAMPLES=OFF
if (($#)); then
  build coverage "tests/$1/all"
  tests=build/coverage/tests/$1
else
  build coverage all
  tests=build/coverage
fi
find build/coverage -name '*.gcda' -delete # of an earlier run
# Not what compiles leat once more, nor processes that are killed: those write down nothing. What fails is told, and the
# lines all the same.
failed=0
ctest --test-dir "$tests" --output-on-failure --parallel "${LEAT_JOBS:-2}" --label-exclude '^(install|docs|crash)$' ||
  failed=1
for module in "${modules[@]}"; do
  echo
  gcovr --root . --filter "$module/" --exclude engine/sim/ --exclude-throw-branches --sort-uncovered build/coverage |
    sed "s|^TOTAL|$module|"
done
exit "$failed"
