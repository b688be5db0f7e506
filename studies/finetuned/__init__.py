"""Light fine-tuning, natively and under a rule, of models whose bias nobody planted: docs/studies/finetuned.md."""
