"""What `bapa check` decides about the reference models."""
