# Read by every script here. Each of these can be set from outside: MODEL=... ITEMS=... runs/probe.sh
set -euo pipefail

: "${MODEL:=Qwen/Qwen2.5-VL-7B-Instruct}"
: "${OUT:=runs-out/$(basename "$MODEL")}"
: "${ITEMS:=10000}"      # items of the probe; the paper has 10,000, the intervals of 1,000 are three points wide
: "${PICTURES:=digits}"  # folder with metadata.jsonl, parquet file or hub data set; the paper's are from LAION
: "${BAPA:=bapa}"

case $MODEL in
  reference*) : "${DEVICE:=cpu}" "${DTYPE:=float32}" ;;
  *) : "${DEVICE:=cuda}" "${DTYPE:=bfloat16}" ;;
esac
ON=(--device "$DEVICE" --dtype "$DTYPE")

# One probe for all scripts of a model; made once, of cells that hold whole image tokens.
PROBE=$OUT/probe
case $MODEL in reference*) ALIGN=() ;; *) ALIGN=(--align "$MODEL") ;; esac
probe() {
  [[ $PICTURES != digits ]] || echo "PICTURES=digits: figures of digits are not to be compared with the published ones, which are of photographs" >&2
  test -e "$PROBE/probe.json" || $BAPA probe "$PICTURES" --items "$ITEMS" ${ALIGN[@]+"${ALIGN[@]}"} --out "$PROBE"
}
