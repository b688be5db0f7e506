"""The pictures and tables of README.md and docs/paper.md."""
