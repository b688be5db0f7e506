"""What bapa origin says of the reference models: the table of docs/origin.md."""
