"""What the configs of much used models tell: the table of docs/models.md."""
