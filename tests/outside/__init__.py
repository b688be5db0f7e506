"""Schemes of somebody else, in a package of their own: one for each effect a scheme can declare, one file each."""
