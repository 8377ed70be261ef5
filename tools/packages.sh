# shellcheck shell=bash disable=SC2034
# Debian packages, installed only where absent. Sourced by demo.sh and test.sh, which run under `set -euo pipefail`.

# What the library and the command line need to build. ccache: leat is compiled again as part of an outside project.
leat_build_packages=(
  g++ cmake ninja-build ccache libtbb-dev libconcurrentqueue-dev librocksdb-dev libxxhash-dev libfmt-dev libhowardhinnant-date-dev nlohmann-json3-dev
  libcli11-dev libtomlplusplus-dev)
# What tests and benchmarks need besides.
leat_test_packages=(
  libgtest-dev libgmock-dev libbenchmark-dev libboost1.81-dev libsqlite3-dev libre2-dev libhyperscan-dev pkg-config
  prometheus # for promtool
  patch) # for planted bugs

# What the preset asan needs besides.
leat_clang_packages=(clang-19 libclang-rt-19-dev)

# install_packages NAME...: returns only when all are there.
install_packages() {
  local missing=() package
  if ! command -v dpkg-query >/dev/null; then
    echo "leat: no dpkg-query here, so these are taken to be installed: $*" >&2
    return
  fi
  for package in "$@"; do
    [[ $(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null) == installed ]] || missing+=("$package")
  done
  ((${#missing[@]})) || return 0

  local as_root=()
  if ((EUID != 0)); then
    if ! sudo -n true 2>/dev/null; then
      echo "leat: packages are missing and only root may install them; run: sudo apt-get install ${missing[*]}" >&2
      exit 1
    fi
    as_root=(sudo -n)
  fi
  echo "leat: installing ${missing[*]}" >&2
  if ! { "${as_root[@]}" apt-get -qq update &&
    "${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq install -y --no-install-recommends "${missing[@]}"; } \
    >&2; then
    echo "leat: apt-get failed (above); wanted: ${missing[*]}" >&2
    exit 1
  fi
}

# configure PRESET [OPTION=ON|OFF]...: runs cmake only where the preset's build tree lacks one of the options. Later
# changes of the build files are ninja's to notice.
configure() {
  local preset=$1 option wanted=()
  local cache=build/$preset/CMakeCache.txt
  shift
  for option in "$@"; do
    grep -qx "${option%=*}:BOOL=${option#*=}" "$cache" 2>/dev/null || wanted+=("$option")
  done
  [[ -f build/$preset/build.ninja ]] && ((${#wanted[@]} == 0)) && return
  # Only at first: another launcher would make ninja build everything anew.
  [[ -f $cache ]] || ! command -v ccache >/dev/null || wanted+=(CMAKE_CXX_COMPILER_LAUNCHER=ccache)
  cmake --preset "$preset" "${wanted[@]/#/-D}"
}

# build PRESET TARGET...
build() {
  local preset=$1
  shift
  cmake --build "build/$preset" --parallel "${LEAT_JOBS:-2}" --target "$@"
}
