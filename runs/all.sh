#!/usr/bin/env bash
# Shows: the probe on all models of the paper, and one page over them
# Published: see probe.sh
# Hours: 52 for the six models together
cd "$(dirname "$0")/.."
MODELS=${MODELS:-Qwen/Qwen2.5-VL-7B-Instruct Qwen/Qwen2.5-VL-32B-Instruct google/gemma-3-12b-it
  llava-hf/llava-v1.6-mistral-7b-hf llava-hf/llama3-llava-next-8b-hf llava-hf/llava-1.5-7b-hf}
pages=()
for model in $MODELS; do
  MODEL=$model runs/probe.sh
  pages+=("runs-out/$(basename "$model")/run")
done
${BAPA:-bapa} report "${pages[@]}" --out runs-out/report.html --paper runs-out/paper
