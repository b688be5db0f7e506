#!/usr/bin/env bash
# Shows: what the paper leaves at one: the distance from the shared position to the text, picked on 32 items
# Published: none
# Hours: 7B 1, 12B 2, 32B 4
source "$(dirname "$0")/settings.sh"
probe
$BAPA calibrate "$MODEL" --probe "$PROBE" --items "${CALIBRATION_ITEMS:-32}" --held-out "${HELD_OUT:-1000}" \
  --out "$OUT/calibrated" "${ON[@]}"
