"""Training recognisers on labelled faces."""
