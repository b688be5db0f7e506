#!/usr/bin/env bash
# Shows: accuracy per cell of the 3 x 3 probe, native and balanced: the paper's map of the bias and what BaPA does to it
# Published: on photographs (PICTURES), Qwen2.5-VL-7B 82.49 -> 81.28, variance 1.74 -> 2.06; 32B 81.96 -> 82.48, variance 0.28 -> 0.80
# Hours: 7B 5, 12B 9, 32B 23
source "$(dirname "$0")/settings.sh"
probe
$BAPA measure "$MODEL" --probe "$PROBE" --scheme native --scheme bapa --out "$OUT/run" "${ON[@]}"
$BAPA report "$OUT/run" --paper "$OUT/paper"
