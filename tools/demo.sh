#!/usr/bin/env bash
# Builds the command line tool and runs two small workflows durably; installs what is missing first.
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
source tools/packages.sh

install_packages "${leat_build_packages[@]}"
# A tree that test.sh has made is taken as it is.
[[ -f build/release/build.ninja ]] || configure release LEAT_BUILD_TESTS=OFF LEAT_BUILD_BENCH=OFF
build release leat_tool

root=$PWD
directory=$(mktemp -d)
trap 'rm -rf "$directory"' EXIT
cd "$directory"
show() {
  printf '\n$ leat %s\n' "$*" | sed "s|$root/||g"
  "$root/build/release/leat" "$@"
}

show run "$root/examples/workflows/survey.json" "$root/examples/workflows/word_count.toml" --store demo.db
echo
echo "The words that occur most often in the licence texts of this machine:"
cat top.txt
show inspect tasks --store demo.db
show inspect events --store demo.db --format csv | tail -n 12
