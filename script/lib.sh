# SPDX-License-Identifier: Apache-2.0
# What the scripts share; sourced, never run.
set -u
cd "$(dirname "${BASH_SOURCE[0]}")/.." || exit 1
export LC_ALL=C.UTF-8

BUILD_PACKAGES=(gcc make libc6-dev pkgconf libc-ares-dev libcrypt-dev libmaxminddb-dev libpcre2-dev
    libbrotli-dev libnghttp2-dev libssl-dev libzstd-dev zlib1g-dev)

# Installs the Debian packages that are missing and says which; does nothing, and needs no network
# and no rights, when they are all there.
need_packages()
{
    local missing=() package known
    # The right-hand column is "ii " for an installed package, or for one that it provides.
    known=" $(dpkg-query -W -f '${db:Status-Abbrev}:${Package} ' "$@" 2>/dev/null) "
    for package in "$@"; do
        [[ $known == *"ii :$package "* ]] || missing+=("$package")
    done
    [[ ${#missing[@]} -eq 0 ]] && return 0

    local as_root=()
    if [[ $(id -u) -ne 0 ]]; then
        command -v sudo >/dev/null || {
            echo "missing Debian packages: ${missing[*]}; install them as root, or install sudo" >&2
            return 1
        }
        as_root=(sudo)
    fi
    echo "installing Debian packages: ${missing[*]}" >&2
    # A mirror may fail once, and another apt may be at work on a machine that has just begun.
    local apt=("${as_root[@]}" env DEBIAN_FRONTEND=noninteractive apt-get -qq
        -o Acquire::Retries=3 -o DPkg::Lock::Timeout=300)
    # The lists of a fresh machine are empty; those of an offline one may still do.
    "${apt[@]}" update >&2 || true
    # Servers among them are for the tests to start: none is to run on this machine because of us.
    local policy=/usr/sbin/policy-rc.d own_policy=0 result=0
    if [[ ! -e $policy ]]; then
        own_policy=1
        printf '#!/bin/sh\nexit 101\n' | "${as_root[@]}" tee "$policy" >/dev/null
        "${as_root[@]}" chmod 755 "$policy"
    fi
    "${apt[@]}" install -y --no-install-recommends "${missing[@]}" >&2 </dev/null || result=1
    [[ $own_policy -eq 1 ]] && "${as_root[@]}" rm -f "$policy"
    [[ $result -eq 0 ]] || echo "could not install: ${missing[*]}" >&2
    return $result
}

build_jobs()
{
    nproc 2>/dev/null || echo 2
}
