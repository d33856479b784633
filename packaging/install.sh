#!/bin/sh
# Installs hf for this user: sh install.sh [--to DIR]
#
# It downloads the archive for this platform and SHA256SUMS, and installs nothing unless the checksum is
# right. No root, no change to any other file. Variables: HF_INSTALL_DIR (as --to; default ~/.local/bin),
# HF_INSTALL_BASE (another place that holds the files of a release), HF_INSTALL_TARGET (another build).
set -eu

base=${HF_INSTALL_BASE:-@BASE_URL@}
version=@VERSION@
name=@NAME@
folder=${HF_INSTALL_DIR:-}

fail() {
    printf 'Error: %s\n' "$1" >&2
    [ $# -lt 2 ] || printf 'Hint: %s\n' "$2" >&2
    exit 1
}

has() { command -v "$1" >/dev/null 2>&1; }

# The target triple of this machine.
platform() {
    system=$(uname -s) machine=$(uname -m)
    case $machine in
    x86_64 | amd64) arch=x86_64 ;;
    aarch64 | arm64) arch=aarch64 ;;
    *) fail "There is no build for the processor $machine." "build it from source with cargo" ;;
    esac
    case $system in
    Linux) printf '%s-unknown-linux-musl' "$arch" ;;
    Darwin)
        # A shell under Rosetta says x86_64 on an arm64 machine.
        [ "$(sysctl -n sysctl.proc_translated 2>/dev/null || echo 0)" != 1 ] || arch=aarch64
        printf '%s-apple-darwin' "$arch"
        ;;
    *) fail "There is no build for the system $system." "on Windows take the zip file or the wheel" ;;
    esac
}

# download ADDRESS FILE
download() {
    if has curl; then
        curl -fsSL --retry 3 -o "$2" -- "$1"
    elif has wget; then
        wget -q -O "$2" -- "$1"
    else
        fail "Neither curl nor wget is installed." "install one of them"
    fi || fail "Cannot download $1." "check the network and the proxy variables"
}

# The SHA-256 of a file, in hexadecimal digits.
checksum() {
    if has sha256sum; then
        sha256sum <"$1"
    elif has shasum; then
        shasum -a 256 <"$1"
    elif has openssl; then
        openssl dgst -sha256 -r <"$1"
    else
        fail "There is no program to verify the checksum with." "install sha256sum, shasum or openssl"
    fi | cut -d ' ' -f 1
}

main() {
    while [ $# -gt 0 ]; do
        case $1 in
        --to) [ $# -gt 1 ] || fail "--to needs a folder."; folder=$2; shift 2 ;;
        --to=*) folder=${1#--to=}; shift ;;
        *) fail "There is no option $1." "sh install.sh [--to DIR]" ;;
        esac
    done
    [ -n "$base" ] || fail "This copy of the script knows no place to download from." "set HF_INSTALL_BASE"
    if [ -z "$folder" ]; then
        [ -n "${HOME:-}" ] || fail "HOME is not set." "give a folder with --to"
        folder=$HOME/.local/bin
    fi
    target=${HF_INSTALL_TARGET:-$(platform)}
    file=$name-$version-$target.tar.gz
    # Before anything is downloaded: who cannot verify does not install.
    has sha256sum || has shasum || has openssl ||
        fail "There is no program to verify the checksum with." "install sha256sum, shasum or openssl"

    work=$(mktemp -d)
    trap 'rm -rf "$work"' EXIT
    trap 'exit 130' INT
    trap 'exit 143' TERM
    download "$base/SHA256SUMS" "$work/SHA256SUMS"
    download "$base/$file" "$work/$file"
    wanted=$(awk -v file="$file" '$2 == file { print $1 }' "$work/SHA256SUMS")
    [ -n "$wanted" ] || fail "SHA256SUMS does not name $file." "the release is incomplete; nothing was installed"
    found=$(checksum "$work/$file")
    [ "$found" = "$wanted" ] ||
        fail "The checksum of $file is wrong: $found instead of $wanted." "nothing was installed; try again, then report it"
    tar -xzf "$work/$file" -C "$work"
    mkdir -p "$folder"
    # Replaced in one step: a running hf goes on with the old file.
    cp "$work/$name-$version-$target/hf" "$folder/.hf.new.$$"
    chmod 755 "$folder/.hf.new.$$"
    if ! "$folder/.hf.new.$$" version >/dev/null; then
        rm -f "$folder/.hf.new.$$"
        fail "The program does not run on this machine." "build it from source with cargo"
    fi
    mv -f "$folder/.hf.new.$$" "$folder/hf"
    printf 'Installed hf %s: %s\n' "$version" "$folder/hf"
    # shellcheck disable=SC2016 # the user's shell expands it
    case :$PATH: in
    *:"$folder":*) ;;
    *) printf 'Hint: add it to your PATH: export PATH="%s:$PATH"\n' "$folder" ;;
    esac
    other=$(command -v hf 2>/dev/null || true)
    if [ -n "$other" ] && [ "$other" != "$folder/hf" ]; then
        printf 'Hint: your shell finds another hf first: %s\n' "$other"
    fi
}

# The whole script is read before anything is done: half a download does nothing.
main "$@"
