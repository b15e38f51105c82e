#!/bin/sh
# Prepares .venv for one purpose and is silent if that is done already:
#
#   scripts/set-up.sh run    what running on one machine needs
#   scripts/set-up.sh dev    the same, and what tests, benches and deployments need
#
# PYTHON names the interpreter. Without it a .venv of a supported version stays as it is, and a new one
# is made with the newest supported Python on the PATH. The lock files list every package with its hashes.
# uv installs them: the one on the PATH, or the one that pip installs into .venv. If uv cannot be used,
# pip installs the same packages, more slowly.
set -eu

group=$1
needs="Open Booking needs Python 3.11, 3.12 or 3.13"

stop() {
    echo "$1" >&2
    exit 1
}

version_of() {
    "$1" -c 'import sys; print("%d.%d" % sys.version_info[:2])' 2>/dev/null
}

is_supported() {
    case $1 in 3.11 | 3.12 | 3.13) true ;; *) false ;; esac
}

newest_supported() {
    for name in python3.13 python3.12 python3.11 python3 python; do
        if is_supported "$(version_of "$name")"; then
            echo "$name"
            return
        fi
    done
    stop "No supported Python is on the PATH: $needs; PYTHON=/path/to/python make run names one elsewhere."
}

# Scripts in .venv/bin start with the path of their interpreter, and the project is installed by its path: in a
# copied or moved folder both would still lead to the old place.
was_moved() {
    [ -e .venv/bin/openbooking ] &&
        ! grep -qF -e "$(pwd -P)/.venv/" -e "$PWD/.venv/" .venv/bin/openbooking
}

state_of() {
    echo "$1 $(cat "requirements-$1.lock" pyproject.toml | cksum)"
}

make_environment() {
    present=$(version_of .venv/bin/python) || present=
    if [ -n "${PYTHON:-}" ]; then
        python=$PYTHON
        wanted=$(version_of "$python") || stop "PYTHON=$python cannot be run: $needs."
        is_supported "$wanted" || stop "PYTHON=$python is Python $wanted: $needs."
    elif is_supported "$present"; then
        wanted=$present
    else
        wanted=
    fi
    if [ -n "$wanted" ] && [ "$present" = "$wanted" ] && ! was_moved; then
        return
    fi
    [ -n "${python:-}" ] || python=$(newest_supported)
    if [ -e .venv ] || [ -L .venv ]; then
        echo "Replacing .venv (${present:+Python }${present:-unusable}) by one of Python $(version_of "$python") ..."
        # By its name: with PYTHON=.venv/bin/python the interpreter would be removed before it is used.
        python=$("$python" -c 'import os, sys; print(os.path.realpath(sys.executable))')
        rm -rf .venv
    fi
    # Without pip: it takes seconds, and is needed only where there is no uv.
    "$python" -m venv --without-pip .venv || stop "$python cannot make an environment: is its venv module installed?"
}

have_pip() {
    .venv/bin/python -m pip --version >/dev/null 2>&1 || .venv/bin/python -m ensurepip >/dev/null 2>&1
}

pip_install() {
    .venv/bin/python -m pip install --disable-pip-version-check --no-deps "$@"
}

install_with_uv() {
    uv=$(command -v uv) || {
        have_pip && pip_install --quiet --require-hashes -r requirements-uv.lock || return 1
        uv=.venv/bin/uv
    }
    "$uv" pip install --python .venv/bin/python --no-deps --require-hashes -r "requirements-$group.lock" &&
        "$uv" pip install --python .venv/bin/python --quiet --no-deps --no-build-isolation --editable .
}

install_with_pip() {
    have_pip || stop "Neither uv nor pip can be used with this Python: install uv, or Python's ensurepip module (Debian and Ubuntu: python3-venv)."
    pip_install --require-hashes -r "requirements-$group.lock" &&
        pip_install --quiet --no-build-isolation --editable .
}

make_environment
installed=$(cat .venv/.installed 2>/dev/null) || installed=
# What dev installs includes what run needs.
if [ "$installed" != "$(state_of "$group")" ] && [ "$installed" != "$(state_of dev)" ]; then
    echo "Installing the packages of requirements-$group.lock into .venv ..."
    rm -f .venv/.installed
    if ! install_with_uv; then
        echo "uv could not install the packages; pip does it now, which takes longer ..." >&2
        install_with_pip || stop "The packages could not be installed; the lines above say why."
    fi
    state_of "$group" >.venv/.installed
fi
