"""What a labelled face dataset is worth."""
