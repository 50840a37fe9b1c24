"""The figures of an audit: their list, and the parts of audit.json that hold them."""
