# shellcheck shell=bash disable=SC2034  # the lists are for the scripts that read this file
# What scripts/quickstart and scripts/test share: the packages they need and how to get them.

# Debian packages. The build needs the first list, the tests the second as well, the fuzz targets the third instead. They
# are installed without what they recommend. cmake/dependencies.cmake looks for the libraries.
build_packages=(
    g++ cmake ninja-build
    libdnnl-dev nlohmann-json3-dev libfmt-dev libpcre2-dev libutf8proc-dev libxxhash-dev libjs-chart.js
)
# MPI is built where it is found, and python3-jinja2 renders chat templates: users install them when they need them.
test_packages=(libgtest-dev libgmock-dev libbenchmark-dev clang-format libopenmpi-dev openmpi-bin python3-jinja2)
fuzz_packages=(clang libclang-rt-dev libomp-dev)  # sanitizers are only recommended by the first
coverage_packages=(gcovr)

say() { printf '== %s\n' "$*"; }

die() {
    printf 'error: %s\n' "$*" >&2
    exit 1
}

as_root() {
    if [ "$(id -u)" -eq 0 ]; then "$@"; else sudo "$@"; fi
}

is_installed() {
    [ "$(dpkg-query -W -f='${db:Status-Status}' "$1" 2>/dev/null)" = installed ]
}

# install_packages NAME...: brings those that are missing; asks for nothing when all are there.
install_packages() {
    local package missing=()
    for package in "$@"; do is_installed "$package" || missing+=("$package"); done
    [ ${#missing[@]} -eq 0 ] && return
    command -v apt-get >/dev/null ||
        die "these Debian packages or their like are needed and apt-get is not there to bring them: ${missing[*]}"
    [ "$(id -u)" -eq 0 ] || command -v sudo >/dev/null ||
        die "these packages are needed; run as root or install sudo: ${missing[*]}"
    say "installing ${missing[*]}"
    local log
    log=$(mktemp)
    # The environment is set behind sudo, which would drop it.
    if ! { as_root apt-get update -q && as_root env DEBIAN_FRONTEND=noninteractive \
        apt-get install -y -q --no-install-recommends "${missing[@]}"; } >"$log" 2>&1; then
        tail -n 5 "$log" >&2
        rm -f "$log"
        die "these packages could not be installed, is the network reachable? ${missing[*]}"
    fi
    rm -f "$log"
}

configure() {
    say "configuring the $1 preset in build/$1"
    cmake --preset "$1"
}

# build PRESET: configures and compiles.
build() {
    configure "$1"
    say "building the $1 preset"
    cmake --build --preset "$1"
}
