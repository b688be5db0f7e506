"""Study: models whose projector is aligned are taught to say whether a thing is there, and asked in every cell."""
