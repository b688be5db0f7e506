#!/usr/bin/env bash
# Shows: the paper's similarity, masking and information-flow figures, and interventions beside them
# Published: no numbers that could be compared
# Hours: 7B 3, 12B 5, 32B 14
source "$(dirname "$0")/settings.sh"
probe
$BAPA origin "$MODEL" --probe "$PROBE" --items "${ORIGIN_ITEMS:-$((ITEMS < 200 ? ITEMS : 200))}" --out "$OUT/run" "${ON[@]}"
