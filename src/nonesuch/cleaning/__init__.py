"""Wrong labels, split identities and doubles in a labelled dataset, found and decided."""
