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

name=install_tex
what="latexmk, pdflatex and the LaTeX packages"
purpose="to get evaluation.pdf"
without="tables, figures and metrics are made without them."
debian_packages=(latexmk texlive-latex-base texlive-latex-recommended lmodern)
styles=(geometry booktabs graphicx caption hyperref xcolor longtable lmodern fontenc inputenc)

source "$(dirname -- "${BASH_SOURCE[0]}")/debian.sh"

missing() {
    local style
    missing_programs latexmk pdflatex kpsewhich
    command -v kpsewhich >/dev/null 2>&1 || return 0
    for style in "${styles[@]}"; do
        [ -n "$(kpsewhich "$style.sty" || true)" ] || echo "$style.sty"
    done
}

check "$@"
as_root=()
if [ "$(id -u)" -ne 0 ]; then
    sudo -n true >/dev/null 2>&1 || give_up "installing needs root, or sudo without a password"
    as_root=(sudo -n)
fi
install_packages "${as_root[@]}"
