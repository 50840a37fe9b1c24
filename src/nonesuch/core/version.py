"""The release, as the package, its pages and its records name it."""

VERSION = "0.1.0"
