"""How often the statistics of a run are right: intervals, tests and sentences on answers whose truth is planted."""
