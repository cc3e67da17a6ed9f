#!/bin/sh
# Written by Tandem. Cargo runs this in place of rustc (RUSTC_WRAPPER), so that the bytes of a component do not depend
# on where its crates lie. Cargo tells crates apart by a hash that covers the absolute folder of a path dependency;
# it goes into symbol names and so into the order of functions. Name and version tell them apart as well.
# File names come from another option and stay cargo's.
set -eu
compiler=$1
shift
if [ -n "${CARGO_PKG_NAME:-}" ] && [ -n "${CARGO_MANIFEST_DIR:-}" ]; then
    crate=$CARGO_PKG_NAME-${CARGO_PKG_VERSION:-0}
    for argument; do
        shift
        case $argument in
            metadata=????????????????) argument=metadata=$crate ;;
        esac
        set -- "$@" "$argument"
    done
    set -- "$@" "--remap-path-prefix=$CARGO_MANIFEST_DIR=/crates/$crate"
fi
exec "$compiler" "$@"
