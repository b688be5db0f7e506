#!/usr/bin/env bash
# Shows: ScienceQA, CRPE, HallusionBench, MMMU-Pro and MME, native and balanced, without training
# Published: before tuning, ScienceQA 0.7898 and HallusionBench 0.7066
# Hours: 7B 6, 12B 10, 32B 27
# Needs: pip install 'bapa[lmms]'
source "$(dirname "$0")/settings.sh"
TASKS=${TASKS:-paper}
if [[ $TASKS == probe:* ]]; then probe; fi
$BAPA bench "$MODEL" --tasks "$TASKS" --scheme native --scheme bapa --out "$OUT/benchmarks" "${ON[@]}"
