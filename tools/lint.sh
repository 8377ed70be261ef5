#!/usr/bin/env bash
# Looks at leat with clang: fields that are touched without their mutex, and the checks of .clang-tidy. About ten
# minutes of two cores for all of it.
#   ./tools/lint.sh                  everything but tests and benchmarks
#   ./tools/lint.sh FILE.cpp ...     those alone
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/packages.sh

install_packages "${leat_build_packages[@]}" "${leat_clang_packages[@]}" clang-tidy-19
configure asan LEAT_BUILD_FUZZERS=ON
(($#)) || set -- routing/*.cpp storage/*.cpp engine/*.cpp engine/sim/*.cpp tools/*.cpp
printf '%s\n' "$@" | xargs -P "${LEAT_JOBS:-2}" -n 4 clang-tidy-19 -p build/asan --quiet
echo "leat: nothing found in $# files"
