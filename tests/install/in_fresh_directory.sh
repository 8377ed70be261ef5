#!/usr/bin/env bash
# Runs a program in a fresh directory, which it takes away again.
set -euo pipefail
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT
cd "$work"
"$@"
