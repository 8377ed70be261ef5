#!/usr/bin/env bash
# Holds README.md, ARCHITECTURE.md and docs/ against the repository: the program, the tests and files that they name, and the
# TOML that they show.
#   check_documents.sh SOURCE_TREE LEAT_TOOL README_PROGRAM     (an empty word: not built, so not tried)
# shellcheck disable=SC2016  # the backquotes are Markdown's
set -euo pipefail
root=$1 leat=$2 program=$3
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
failures=0
fail() {
  echo "$*" >&2
  failures=$((failures + 1))
}

# block LANGUAGE N: the N-th code block of README.md in a language.
block() {
  awk -v fence="\`\`\`$1" -v wanted="$2" '
    inside && $0 == "```" { inside = 0 }
    inside && seen == wanted { print }
    !inside && $0 == fence { inside = 1; ++seen }' "$root/README.md"
}

block cpp 1 >"$work/readme.cpp"
cmp "$work/readme.cpp" "$root/examples/readme.cpp" || fail "README.md: its program is not examples/readme.cpp"
(($(wc -l <"$root/README.md") <= 200)) || fail "README.md: more than 200 lines"

# `Suite.Test` in a document is a test.
find "$root/tests" -name '*.cpp' -exec cat {} + | tr '\n' ' ' | grep -oE '\bTEST(_F|_P)?\( *\w+, *\w+' |
  sed -E 's/.*\( *(\w+), *(\w+)/\1.\2/' | sort -u >"$work/tests"
for document in README ARCHITECTURE docs/TESTING docs/GUARANTEES docs/LIFECYCLE; do
  grep -oE '`[A-Z]\w+\.[A-Z]\w+`' "$root/$document.md" | tr -d '`' | sort -u | grep -v '\.md$' >"$work/named" || true
  while read -r name; do
    fail "$document.md: there is no test $name"
  done < <(comm -23 "$work/named" "$work/tests")
  [[ $document != README || -s $work/named ]] || fail "README.md: names no test"
done

# `folder/file` in a document is there; `<leat/x.h>` is a public header.
for document in README ARCHITECTURE docs/TESTING docs/GUARANTEES docs/LIFECYCLE; do
  while read -r path; do
    [[ -e $root/$path ]] || fail "$document.md: there is no $path"
  done < <(grep -oE '`(\./)?(routing|storage|engine|tests|bench|tools|examples|cmake)/[A-Za-z0-9_./]+`' \
    "$root/$document.md" | tr -d '`' | sort -u)
  while read -r header; do
    compgen -G "$root/*/include/$header" >/dev/null || compgen -G "$root/*/*/include/$header" >/dev/null || fail "$document.md: there is no <$header>"
  done < <(grep -oE '<leat/\w+\.h>' "$root/$document.md" | tr -d '<>' | sort -u)
done

if [[ -n $leat ]]; then
  block toml 1 >"$work/workflow.toml"
  (cd "$work" && "$leat" run workflow.toml >run.out) || fail "README.md: its workflow does not run"
  (cd "$work" && "$leat" inspect tasks --format csv | grep -c ',Completed,' >completed) || true
  [[ $(cat "$work/completed") == 2 ]] || fail "README.md: not every task of its workflow is Completed"
  block toml 2 >"$work/routes.toml"
  "$leat" route check --strict --rules "$work/routes.toml" || fail "README.md: something is wrong with its routes"
fi
if [[ -n $program ]]; then
  printed=$(cd "$work" && "$program") || fail "README.md: its program fails"
  [[ $printed == $(grep -oE '\{"loaded".*\}$' "$root/examples/readme.cpp") ]] ||
    fail "README.md: its program prints '$printed', not what its comment says"
fi
((failures == 0))
