#!/usr/bin/env bash
# Shows: that positions carry the bias: reversed, shuffled and merely moved positions beside native and balanced ones
# Published: none with these controls
# Hours: 7B 13, 12B 22, 32B 58
source "$(dirname "$0")/settings.sh"
probe
$BAPA measure "$MODEL" --probe "$PROBE" --scheme native --scheme bapa --scheme reverse --scheme shuffle --scheme null \
  --out "$OUT/controls" "${ON[@]}"
$BAPA report "$OUT/controls" --paper "$OUT/controls/paper"
