#!/usr/bin/env bash
# Makes sure that evaluation.pdf can be built: latexmk, pdflatex and the few LaTeX packages that
# src/w2dual/report/document.py uses. Does nothing when they are there. Otherwise, on Debian or Ubuntu as
# root (or with a sudo that asks for no password), installs them with apt-get, without
# recommended extras (21 packages: 60 MB to fetch, 190 MB on disk). Where it may not install, it says which packages to
# ask for and exits with 3; everything but the PDF can still be made then.
#
# Usage: scripts/install_tex.sh            check, and install where something is missing
#        scripts/install_tex.sh --check    check only
set -euo pipefail

debian_packages=(latexmk texlive-latex-base texlive-latex-recommended lmodern)
programs=(latexmk pdflatex kpsewhich)
styles=(geometry booktabs graphicx caption hyperref xcolor longtable lmodern fontenc inputenc)

missing() {
    local program style
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null 2>&1 || echo "$program"
    done
    command -v kpsewhich >/dev/null 2>&1 || return 0
    for style in "${styles[@]}"; do
        [ -n "$(kpsewhich "$style.sty" || true)" ] || echo "$style.sty"
    done
}

give_up() {
    echo "install_tex: $1" >&2
    echo "install_tex: to get evaluation.pdf, have these Debian packages installed:" >&2
    echo "    ${debian_packages[*]}" >&2
    echo "install_tex: tables, figures and metrics are made without them." >&2
    exit 3
}

lacking=$(missing)
if [ -z "$lacking" ]; then
    echo "install_tex: latexmk, pdflatex and the LaTeX packages are there; nothing to do"
    exit 0
fi
echo "install_tex: missing: ${lacking//$'\n'/ }"

[ "${1:-}" != "--check" ] || give_up "not installed"
command -v apt-get >/dev/null 2>&1 || give_up "this is not a Debian system (no apt-get)"

# `env` in front, because sudo drops the environment.
as_root=(env DEBIAN_FRONTEND=noninteractive)
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true >/dev/null 2>&1 || give_up "installing needs root, or sudo without a password"
    as_root=(sudo -n "${as_root[@]}")
fi

echo "install_tex: installing ${debian_packages[*]} with apt-get"
"${as_root[@]}" apt-get -q -o DPkg::Lock::Timeout=300 update ||
    echo "install_tex: apt-get update failed; trying with the package lists at hand" >&2
"${as_root[@]}" apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends \
    "${debian_packages[@]}" || give_up "apt-get could not install them"

lacking=$(missing)
[ -z "$lacking" ] || give_up "still missing after the installation: ${lacking//$'\n'/ }"
echo "install_tex: done"
