"""A photograph found from an unfinished drawing of it (sketch-less facial image retrieval), with simulated drawings."""
