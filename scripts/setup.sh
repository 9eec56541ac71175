#!/bin/sh
# Makes .venv with the pinned packages and this project in it. Running it again costs nothing until
# requirements.txt or pyproject.toml change. Needs Python 3.11 or newer, and nothing else.
set -eu
cd "$(dirname "$0")/.."

say() { printf '%s\n' "$*" >&2; }

find_python() {
  # 3.11 first: it is what the continuous integration runs.
  for name in "${PYTHON:-}" python3.11 python3.12 python3.13 python3 python; do
    if [ -n "$name" ] && command -v "$name" >/dev/null 2>&1 &&
      "$name" -c 'import sys, venv, ensurepip; sys.exit(sys.version_info < (3, 11))' 2>/dev/null; then
      echo "$name"
      return
    fi
  done
  say "✗ No Python 3.11 or newer with venv was found."
  say "  → Debian, Ubuntu: apt-get install python3 python3-venv; macOS: brew install python@3.12;"
  say "    or name one: make PYTHON=/path/to/python3.12 demo. Or use containers: docker compose up"
  exit 1
}

find_uv() {
  # uv installs ten times faster than pip; one of its own is made when there is none.
  if command -v uv >/dev/null 2>&1 && uv --version >/dev/null 2>&1; then
    echo uv
    return
  fi
  tools=.venv/tools
  if [ ! -x "$tools/bin/uv" ]; then
    "$1" -m venv "$tools" >&2
    "$tools/bin/python" -m pip install --quiet uv >&2 || return 0
  fi
  echo "$tools/bin/uv"
}

digest() {
  "$1" - <<'EOF'
import hashlib, pathlib, sys
parts = [pathlib.Path(name).read_bytes() for name in ("requirements.txt", "pyproject.toml")]
print(hashlib.sha256(b"\0".join([*parts, sys.version.encode()])).hexdigest())
EOF
}

python=$(find_python)
wanted=$(digest "$python")
marker=.venv/.requirements-digest
if [ -f "$marker" ] && [ "$(cat "$marker")" = "$wanted" ]; then
  exit 0
fi

say "Setting up .venv with $("$python" --version) (once; the packages take about 4 GB of disk)"
if [ ! -x .venv/bin/python ]; then
  "$python" -m venv .venv
fi
uv=$(find_uv "$python")
if [ -n "$uv" ]; then
  VIRTUAL_ENV=$PWD/.venv
  export VIRTUAL_ENV
  "$uv" pip sync --quiet --require-hashes requirements.txt
  "$uv" pip install --quiet --no-deps --no-build-isolation --editable .
else
  .venv/bin/python -m pip install --quiet --require-hashes --requirement requirements.txt
  .venv/bin/python -m pip install --quiet --no-deps --no-build-isolation --editable .
fi
echo "$wanted" >"$marker"
say "✓ .venv is ready"
