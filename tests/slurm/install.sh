#!/usr/bin/env bash
# Install SLURM and munge from Debian's packages, unless they are here. Refuses to meddle with a machine's own SLURM.
set -euo pipefail
stop() { echo "slurm-test: $1" >&2; exit 1; }
[ "$(id -u)" = 0 ] || stop "needs root, to install SLURM and to start its daemons"
[ ! -e /etc/slurm/slurm.conf ] || stop "/etc/slurm/slurm.conf is there: this machine has a SLURM of its own, which stays untouched"
missing=
for command in slurmctld slurmd sbatch munged; do
  command -v "$command" > /dev/null || missing=$command
done
[ -n "$missing" ] || exit 0
command -v apt-get > /dev/null || stop "$missing is missing, and there is no apt-get to install it with"
export DEBIAN_FRONTEND=noninteractive
apt-get update -qq
apt-get install -y -qq --no-install-recommends slurmctld slurmd slurm-client slurm-wlm-basic-plugins munge > /dev/null
