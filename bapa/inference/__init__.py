"""Asking a model: prompts, answers, the plan of forwards, back ends, and the store that makes a run resume."""
