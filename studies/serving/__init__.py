"""Tiny models of every family in vLLM's CPU engine, beside transformers: a table of docs/serve.md."""
