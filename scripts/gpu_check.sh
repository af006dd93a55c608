#!/usr/bin/env bash
# For a machine with one GPU, for some minutes: is it right there, how fast is it, and as many cells
# of the paper's budget as fit. One process after another, results written as they come.
#
#   scripts/gpu_check.sh FOLDER OUT
#
# FOLDER is what `python -m benchmarks.gpu_check prepare FOLDER` has made. OUT gets device.json,
# equality.jsonl, step.jsonl, speed.jsonl, train/CELL/{metrics.json,history.csv,log} and check.log, all small.
# The exit code is the largest of all commands': 124 of a check that took too long. A cell that the end
# of the time stops is no failure, nor is what has no time left to start; check.log names both.
# It needs Python with JAX, flax, optax and what else w2dual imports for `train`; no network.
#
#   SECONDS_IN_ALL   after which nothing starts and what runs ends  [450]
#   EQUALITY         cases, each a network, or empty        [hd2-, hd16-, hd64-mlp and -icnn]
#   STEP             cells whose step is compared with the plain form, of those networks
#                                              [hd2-mlp- and hd16-icnn-regression-lbfgs, hd2-icnn-cycle-none]
#   SPEED            cells whose steps are timed     [hd2- and hd16-mlp-regression-lbfgs]
#   TRAIN            cells to train, in this order   [those with L-BFGS, n = 2, 4, 8, 16]
#   EQUALITY_S, STEP_S, SPEED_S   time limit of each, s            [60, 60, 100]
#   PYTHON           the Python                                    [python3]
#   VENDOR           a folder of packages that this machine lacks  []
#   CHECKPOINTS      a folder; with the same one and OUT, a second call resumes    [a new one]
#   EQUALITY_OPTIONS, SPEED_OPTIONS, of benchmarks.gpu_check       []

set -u -o pipefail
folder=$(realpath -m -- "${1:?a folder made by benchmarks.gpu_check prepare}")
out=$(realpath -m -- "${2:?a folder for the results}")
cd "$(dirname "$0")/.." || exit 1
python=${PYTHON:-python3}
export PYTHONPATH=$PWD/src:$PWD${VENDOR:+:$VENDOR}
export JAX_COMPILATION_CACHE_DIR=${JAX_COMPILATION_CACHE_DIR:-$(mktemp -d)}
end=$((SECONDS + ${SECONDS_IN_ALL:-450}))
checkpoints=${CHECKPOINTS:-$(mktemp -d)}
mkdir -p "$out" "$checkpoints"

left() { echo $((end - SECONDS)); }
worst=0
keep_worst() { (($1 > worst)) && worst=$1; }
say() { echo "[$SECONDS s] $*" | tee -a "$out/check.log"; }

# run LIMIT FILE COMMAND...: adds a line to FILE, within LIMIT s and what is left.
run() {
    local limit=$1 file=$2 code=0
    shift 2
    (($(left) < limit)) && limit=$(left)
    if ((limit < 5)); then
        say "no time left for $*"
        return
    fi
    timeout --kill-after=5 "$limit" "$python" -m "$@" >>"$out/$file" 2>>"$out/check.log" || code=$?
    keep_worst "$code"
    say "$* -> $code; $(tail -n 1 "$out/$file" | cut -c 1-1500)"
}

run 60 device.json benchmarks.gpu_check device
for case in ${EQUALITY-hd2-mlp hd16-mlp hd64-mlp hd2-icnn hd16-icnn hd64-icnn}; do
    run "${EQUALITY_S:-60}" equality.jsonl benchmarks.gpu_check equality "$folder" "$case" \
        ${EQUALITY_OPTIONS:-}
done
for cell in ${STEP-hd2-mlp-regression-lbfgs hd16-icnn-regression-lbfgs hd2-icnn-cycle-none}; do
    run "${STEP_S:-60}" step.jsonl benchmarks.gpu_check step "$folder" "$cell"
done
for cell in ${SPEED-hd2-mlp-regression-lbfgs hd16-mlp-regression-lbfgs}; do
    run "${SPEED_S:-100}" speed.jsonl benchmarks.gpu_check speed "$folder" "$cell" \
        ${SPEED_OPTIONS:-}
done

default_cells() {
    for n in 2 4 8 16; do
        for potential in mlp icnn; do
            for method in regression-lbfgs objective-lbfgs cycle-lbfgs; do
                echo "hd$n-$potential-$method"
            done
        done
    done
}
for cell in ${TRAIN-$(default_cells)}; do
    pair=${cell%%-*} place=$out/train/$cell
    [ -f "$place/metrics.json" ] && continue
    if (($(left) < 30)); then
        say "no time left for $cell and what follows"
        break
    fi
    mkdir -p "$place"
    # A cell that is stopped leaves its log, with the times a step, and its checkpoint.
    timeout --kill-after=10 "$(($(left) - 10))" "$python" -m w2dual train \
        --cell "$folder/cells/$cell.json" \
        --preset '{"name": "paper", "label": "the paper'"'"'s settings", "reduced": false}' \
        --measures "$folder/measures/$pair.safetensors" \
        --metrics "$place/metrics.json" --history "$place/history.csv" \
        --params "$checkpoints/$cell.safetensors" --checkpoints "$checkpoints/$cell" \
        --checkpoint-every-s 20 >>"$place/log" 2>&1
    code=$?
    ((code == 124)) || keep_worst "$code"
    say "$cell -> $code; $(tail -n 1 "$place/log" | cut -c 1-300)"
done
say "done"
exit "$worst"
