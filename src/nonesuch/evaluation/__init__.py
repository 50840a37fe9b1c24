"""Testing embedders on labelled faces."""
