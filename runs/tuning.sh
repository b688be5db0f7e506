#!/usr/bin/env bash
# Shows: LoRA rank 8 on 10,000 instruction samples, native and under BaPA, with the probe before and after
# Published: ScienceQA 0.7898 -> 0.8909, HallusionBench 0.7066 -> 0.6909 after tuning under BaPA
# Hours: 7B 6, 12B 11, 32B 28
# Needs: pip install 'bapa[tune]', and DATA: LLaVA-1.5's instruction data, or a probe folder
source "$(dirname "$0")/settings.sh"
: "${DATA:?set DATA to a .json file of conversations, e.g. llava_v1_5_mix665k.json}"
probe
for scheme in native bapa; do
  $BAPA tune "$MODEL" --data "$DATA" --rows "${ROWS:-10000}" --scheme "$scheme" --out "$OUT/tuned-$scheme" \
    --probe "$PROBE" --evaluate-items "${EVALUATE_ITEMS:-1000}" "${ON[@]}"
done
