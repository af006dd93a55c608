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

name=install_slurm
what="SLURM, munge and MariaDB"
purpose="for make test-slurm"
without=""
debian_packages=(slurm-wlm slurmdbd mariadb-server munge)
# Daemons are in sbin, which is not on everybody's path.
PATH=$PATH:/usr/local/sbin:/usr/sbin:/sbin

source "$(dirname -- "${BASH_SOURCE[0]}")/debian.sh"

missing() {
    missing_programs slurmctld slurmd slurmdbd munged mariadbd mariadb-install-db \
        sbatch srun squeue sacct sacctmgr scancel scontrol
}

check "$@"
[ "$(id -u)" -eq 0 ] || give_up "installing needs root, and so does running the cluster"

policy=/usr/sbin/policy-rc.d
if [ ! -e "$policy" ]; then
    trap 'rm -f "$policy"' EXIT
    printf '#!/bin/sh\nexit 101\n' >"$policy"
    chmod 755 "$policy"
fi
echo "$name: no service is started by the installation"
install_packages
