#!/usr/bin/env bash
# Installs from the distribution (Debian 12) whatever the build, the tests and the demo need and this machine lacks.
# Usage: install-packages.sh [test|tidy|fuzz|bench|claims|package]   with what the tests (a browser, a database), clang-tidy, the
# fuzzers, the comparisons of `make bench`, the experiments of `make claims` (text to train on) or `make package` need besides
set -euo pipefail

packages=(
  g++ cmake ninja-build make pkg-config clang-format clang-tidy
  libhwy-dev libcli11-dev libtomlplusplus-dev libsimdjson-dev nlohmann-json3-dev libfmt-dev libspdlog-dev
  libpcre2-dev libutf8proc-dev libzstd-dev libcurl4-openssl-dev libssl-dev libboost1.81-dev libsqlite3-dev libpq-dev libsystemd-dev
  prometheus-cpp-dev ca-certificates libgtest-dev libbenchmark-dev
  libjs-marked node-dompurify libjs-katex fonts-katex node-highlight.js
)
[ "${1:-}" = test ] && packages+=(chromium postgresql)
[ "${1:-}" = bench ] && packages+=(libdnnl-dev)
[ "${1:-}" = package ] && packages+=(dpkg-dev file)
[ "${1:-}" = claims ] && packages+=(linux-source-6.1)
[ "${1:-}" = tidy ] && packages+=(clang)
[ "${1:-}" = fuzz ] && packages+=(clang libclang-rt-14-dev)

missing=()
for package in "${packages[@]}"; do
  if [ "$(dpkg-query -W -f='${db:Status-Status}' "$package" 2>/dev/null || true)" != installed ]; then
    missing+=("$package")
  fi
done
[ ${#missing[@]} -eq 0 ] && exit 0

echo "Installing: ${missing[*]}" >&2
sudo=""
if [ "$(id -u)" -ne 0 ]; then
  command -v sudo >/dev/null || {
    echo "These packages are missing and this user cannot install them; as root: apt-get install ${missing[*]}" >&2
    exit 1
  }
  sudo=sudo
fi
export DEBIAN_FRONTEND=noninteractive
$sudo apt-get update -q
$sudo apt-get install -y -q --no-install-recommends "${missing[@]}"
