# Sourced by the scripts that install Debian packages where programs are missing.
#
# Before, a script sets
#   name               its own, which begins each line that it prints
#   debian_packages    what has the programs
#   what               what is there once nothing is missing
#   purpose            what the packages are for
#   without            what can be done without them; may be empty
# and defines `missing`, which prints a line for each program that is not there. Then it calls
# `check "$@"`, gets itself what it needs to install, and calls `install_packages` with the command
# that runs others as root, if there has to be one.

missing_programs() {
    local program
    for program in "$@"; do
        command -v "$program" >/dev/null 2>&1 || echo "$program"
    done
}

give_up() {
    echo "$name: $1" >&2
    echo "$name: $purpose, have these Debian packages installed:" >&2
    echo "    ${debian_packages[*]}" >&2
    [ -z "$without" ] || echo "$name: $without" >&2
    exit 3
}

# Ends the script where nothing is missing, or where nothing may be or can be installed.
check() {
    local lacking
    lacking=$(missing)
    if [ -z "$lacking" ]; then
        echo "$name: $what are there; nothing to do"
        exit 0
    fi
    echo "$name: missing: ${lacking//$'\n'/ }"
    [ "${1:-}" != "--check" ] || give_up "not installed"
    command -v apt-get >/dev/null 2>&1 || give_up "this is not a Debian system (no apt-get)"
}

install_packages() {
    # `env` behind `sudo`, which drops the environment.
    local apt=("$@" env DEBIAN_FRONTEND=noninteractive apt-get -q -o DPkg::Lock::Timeout=300) lacking
    echo "$name: installing ${debian_packages[*]} with apt-get"
    "${apt[@]}" update ||
        echo "$name: apt-get update failed; trying with the package lists at hand" >&2
    "${apt[@]}" -y install --no-install-recommends "${debian_packages[@]}" ||
        give_up "apt-get could not install them"
    lacking=$(missing)
    [ -z "$lacking" ] || give_up "still missing after the installation: ${lacking//$'\n'/ }"
    echo "$name: done"
}
