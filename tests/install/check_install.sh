#!/usr/bin/env bash
# Installs leat into a fresh prefix, moves the prefix, and builds and runs an outside project with it: by
# find_package and by pkg-config.
#   check_install.sh BUILD_TREE CXX_COMPILER [CXX_FLAGS]
set -euo pipefail
build_tree=$1 compiler=$2 flags=${3:-}
here=$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
command -v ccache >/dev/null && export CMAKE_CXX_COMPILER_LAUNCHER=ccache

cmake --install "$build_tree" --prefix "$work/staged" >/dev/null
mv "$work/staged" "$work/prefix"
test -f "$work/prefix/include/leat/leat.h"

cmake -S "$here/consumer" -B "$work/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DCMAKE_CXX_FLAGS="$flags"
cmake --build "$work/build" --parallel 1
(cd "$work" && [[ $(build/consumer) == "hello, world" ]] && build/router_only && build/simulated && build/orders)
echo "find_package: built and run"

if cmake -S "$here/consumer" -B "$work/other" -G Ninja -DCMAKE_PREFIX_PATH="$work/prefix" \
  -DCMAKE_CXX_COMPILER="$compiler" -DLEAT_WANTED_VERSION=9.9 >/dev/null 2>&1; then
  echo "find_package accepts a version that is not installed" >&2
  exit 1
fi

pc=$(dirname "$(find "$work/prefix" -name leat.pc)")
read -ra options < <(PKG_CONFIG_PATH=$pc pkg-config --cflags --libs leat)
read -ra extra <<<"$flags"
mkdir "$work/pc"
"$compiler" -std=c++23 "${extra[@]}" "$here/consumer/main.cpp" "${options[@]}" -o "$work/pc/consumer"
(cd "$work/pc" && [[ $(./consumer) == "hello, world" ]])
echo "pkg-config: built and run"
