#!/usr/bin/env bash
# Makes sure that a SLURM cluster can be brought up on this machine for `make test-slurm`: SLURM's
# daemons and tools, munge, and MariaDB for the accounting. Does nothing when they are there.
# Otherwise, on Debian or Ubuntu as root, installs Debian's packages with apt-get, without
# recommended extras. No service is started by that, now or by dpkg later in the same call: a
# policy-rc.d that says so is put in place for the length of the installation, and taken away again.
# Where it may not install, it says which packages to ask for and exits with 3.
#
# Usage: scripts/install_slurm.sh            check, and install where something is missing
#        scripts/install_slurm.sh --check    check only
set -euo pipefail

debian_packages=(slurm-wlm slurmdbd mariadb-server munge)
programs=(slurmctld slurmd slurmdbd munged mariadbd mariadb-install-db
    sbatch srun squeue sacct sacctmgr scancel scontrol)
# Daemons are in sbin, which is not on everybody's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

missing() {
    local program
    for program in "${programs[@]}"; do
        command -v "$program" >/dev/null 2>&1 || echo "$program"
    done
}

give_up() {
    echo "install_slurm: $1" >&2
    echo "install_slurm: for make test-slurm, have these Debian packages installed:" >&2
    echo "    ${debian_packages[*]}" >&2
    exit 3
}

lacking=$(missing)
if [ -z "$lacking" ]; then
    echo "install_slurm: SLURM, munge and MariaDB are there; nothing to do"
    exit 0
fi
echo "install_slurm: missing: ${lacking//$'\n'/ }"

[ "${1:-}" != "--check" ] || give_up "not installed"
command -v apt-get >/dev/null 2>&1 || give_up "this is not a Debian system (no apt-get)"
[ "$(id -u)" -eq 0 ] || give_up "installing needs root, and so does running the cluster"

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi

export DEBIAN_FRONTEND=noninteractive
echo "install_slurm: installing ${debian_packages[*]} with apt-get; no service is started"
apt-get -q -o DPkg::Lock::Timeout=300 update ||
    echo "install_slurm: apt-get update failed; trying with the package lists at hand" >&2
apt-get -q -y -o DPkg::Lock::Timeout=300 install --no-install-recommends "${debian_packages[@]}" ||
    give_up "apt-get could not install them"

lacking=$(missing)
[ -z "$lacking" ] || give_up "still missing after the installation: ${lacking//$'\n'/ }"
echo "install_slurm: done"
