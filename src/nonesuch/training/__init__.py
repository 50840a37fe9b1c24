"""Training generators and perception heads."""
