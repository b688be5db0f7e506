"""Every check of the test matrix on every tiny family: docs/families.md."""
