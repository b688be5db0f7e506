"""Shares of a rule, head by head and rotary pair by rotary pair, fitted on grids of words and asked of pictures."""
