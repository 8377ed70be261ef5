#!/usr/bin/env bash
# Plants bugs, one at a time, in a copy of the sources (build/planted), and says which test finds each. Each is a patch
# in tests/planted, which names the test that must fail.
#   ./tools/plant.sh              every bug; the first run builds what the tests need
#   ./tools/plant.sh NAME ...     those alone
#   ./tools/plant.sh --check      only whether each still fits the sources, and its test is there
set -euo pipefail
cd "$(dirname "${BASH_SOURCE[0]}")/.."
root=$PWD
copy=build/planted
source tools/packages.sh

field() { # PATCH NAME
  sed -n "s/^$2: //p" "$1"
}
check() { # PATCH
  local finds suite test
  finds=$(field "$1" Finds)
  suite=${finds%.*} test=${finds#*.}
  patch --dry-run --silent --fuzz=1 -p1 -d "$root" <"$1" ||
    { echo "leat: $1 does not fit the sources any more" >&2 && return 1; }
  grep -rqE "TEST(_F|_P)?\($suite, $test\)" tests || { echo "leat: $1 names $finds, which is no test" >&2 && return 1; }
}
# Copies what differs, so that ninja builds that alone; also where an earlier run was broken off within a plant.
refresh() {
  git ls-files -z --cached --others --exclude-standard | while IFS= read -r -d '' file; do
    [[ ! -f $file ]] || cmp -s "$file" "$copy/source/$file" || install -D "$file" "$copy/source/$file"
  done
}
make() { # PROGRAM...
  cmake --build "$copy/build" --parallel "${LEAT_JOBS:-2}" --target "$@" >"$copy/build.log" 2>&1 ||
    { tail -n 40 "$copy/build.log" && return 1; }
}
run() { # PROGRAM TEST
  local program
  program=$(find "$copy/build/tests" -type f -name "$1" -perm -u+x)
  LEAT_SEED=1 timeout 300 "$program" --gtest_filter="$2" >"$copy/run.log" 2>&1
}
plant() { # PATCH
  local program finds
  program=$(field "$1" Program) finds=$(field "$1" Finds)
  patch --silent --fuzz=1 -p1 -d "$copy/source" <"$1"
  local status=0
  make "$program" && { { run "$program" "$finds" || status=$?; } 2>/dev/null; } || status=none
  patch --silent --fuzz=1 -R -p1 -d "$copy/source" <"$1"
  [[ $status != none ]] || { echo "leat: $1 does not compile" >&2 && return 1; }
  if ((status == 0)); then
    echo "NOT FOUND  $(basename "$1" .patch): $(field "$1" Bug); $finds passes"
    return 1
  fi
  echo "found      $(basename "$1" .patch): $(field "$1" Bug)"
  echo "           by $finds: $(grep -m1 -oE '^seed .*|broken invariant: .*|.* is no longer .*' "$copy/run.log")"
}

patches=()
[[ ${1:-} == --check ]] && shift && check_alone=1
for name in "$@"; do patches+=("tests/planted/$name.patch"); done
((${#patches[@]})) || patches=(tests/planted/*.patch)
for patch in "${patches[@]}"; do check "$patch"; done
if [[ -n ${check_alone:-} ]]; then
  echo "leat: ${#patches[@]} planted bugs fit the sources"
  exit
fi

install_packages "${leat_build_packages[@]}" "${leat_test_packages[@]}"
refresh
cmake -S "$copy/source" -B "$copy/build" -G Ninja -DCMAKE_BUILD_TYPE=Release -DCMAKE_CXX_FLAGS_RELEASE=-O1 \
  -DCMAKE_CXX_COMPILER_LAUNCHER=ccache -DLEAT_BUILD_BENCH=OFF -DLEAT_BUILD_EXAMPLES=OFF >"$copy/build.log"
# Without a bug each of the tests passes: else a failure would say nothing.
for patch in "${patches[@]}"; do echo "$(field "$patch" Program) $(field "$patch" Finds)"; done | sort -u |
  while read -r program finds; do
    make "$program"
    run "$program" "$finds" || { cat "$copy/run.log" && echo "leat: $finds fails without a planted bug" && exit 1; }
  done
missed=0
for patch in "${patches[@]}"; do plant "$patch" || missed=1; done
exit "$missed"
