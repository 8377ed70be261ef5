#!/usr/bin/env bash
# Builds and runs an outside project that has leat as a subdirectory.
#   check_subdirectory.sh SOURCE_TREE CXX_COMPILER
set -euo pipefail
source_tree=$1 compiler=$2
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v ccache >/dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=ccache

cmake -S "$here/consumer" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DLEAT_SOURCE_DIR="$source_tree" \
  -DCMAKE_CXX_COMPILER="$compiler"
cmake --build "$work/build" --parallel 1 --target consumer router_only
(cd "$work" && [[ $(build/consumer) == "hello, world" ]] && build/router_only)
# As a part of somebody else's build, leat brings no tests, tools or benchmarks unasked.
[[ ! -e $work/build/leat/tests && ! -e $work/build/leat/bench ]]
echo "add_subdirectory: built and run"
