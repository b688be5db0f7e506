"""Models that nobody biased are taught rows and columns, and asked under rules: PLAN.md."""
