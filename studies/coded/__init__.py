"""Study: what a rule costs an uneven model whose image tokens carry places."""
