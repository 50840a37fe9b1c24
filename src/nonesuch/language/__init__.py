"""Names and words beside faces: who of a caption's people is which face."""
