#!/bin/sh
# Writes the lock files from requirements*.txt, for every supported Python and platform at once: every
# package with its version and the hashes of its files, and no address of an index. Versions that are
# locked already stay, unless the requirements say otherwise; delete a lock file to renew all in it.
set -eu

uv_version=0.13.9

uv=$(command -v uv) || {
    .venv/bin/python -m pip install --quiet --require-hashes -r requirements-uv.lock
    uv=.venv/bin/uv
}

# lock TARGET SOURCE...
lock() {
    target=$1
    shift
    "$uv" pip compile --quiet --universal --python-version 3.11 --generate-hashes --no-annotate --no-header \
        --no-emit-index-url --no-emit-find-links --output-file "$target" "$@" >/dev/null
}

lock requirements-dev.lock requirements.txt requirements-run.txt requirements-dev.txt
# What runs is what is tested: the smaller set takes its versions from the larger one.
lock requirements-run.lock --constraint requirements-dev.lock requirements.txt requirements-run.txt
lock requirements-audit.lock requirements-audit.txt
echo "uv==$uv_version" | lock requirements-uv.lock -
