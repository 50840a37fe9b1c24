"""Steering: changing a vector and a style code until the image shows what was asked for."""
