"""Pretrained encoder, pretrained language model, and a projector that learned to name things: PLAN.md."""
