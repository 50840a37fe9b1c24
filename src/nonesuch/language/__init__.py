"""Faces and words in one space: training, search, names."""
