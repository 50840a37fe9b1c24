"""Steering: changing a vector and a style code until the image shows what is wished for."""
