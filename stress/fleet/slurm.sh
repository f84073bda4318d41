#!/bin/sh
# A job over a Slurm array: each task is a shard on a folder of its own, and resumes it if it is started again.
#
#   sbatch --array=1-8 stress/fleet/slurm.sh 1 100000 /shared/soak      # at least 64 seeds for each task: shards take blocks of 64
#   tenterhook merge /shared/soak/all /shared/soak/part-*       # when they have ended, or while they run
#
#SBATCH --job-name=tenterhook
#SBATCH --cpus-per-task=4
#SBATCH --signal=B:INT@30
#SBATCH --requeue
set -eu

seed=${1:?the first seed} seeds=${2:?the number of seeds} folder=${3:?a folder that every node sees}
program=${TENTERHOOK:-tenterhook}
mkdir -p "$folder"

# The program reads its shard from SLURM_ARRAY_TASK_ID, _MIN and _COUNT. Slurm tells this shell alone that the time is nearly up:
# the shell hands it on as Ctrl-C, and the program keeps all that it has done.
"$program" job "$folder/part-$SLURM_ARRAY_TASK_ID" --seed "$seed" --seeds "$seeds" --jobs "${SLURM_CPUS_PER_TASK:-1}" &
child=$!
trap 'kill -INT "$child"' INT TERM
status=0
wait "$child" || status=$?
# The signal has ended that wait, and not the program.
if kill -0 "$child" 2>/dev/null; then
    status=0
    wait "$child" || status=$?
fi
# Exit codes 10 to 12 say that a bug is open: the task has done its work.
case $status in 10 | 11 | 12) exit 0 ;; *) exit "$status" ;; esac
