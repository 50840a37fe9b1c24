"""`python -m nonesuch` is the command line."""

from nonesuch.cli.app import main

main()
