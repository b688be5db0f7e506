"""Is a served model given the right image positions? Asked from outside, through its chat API."""
