"""What this server promises to be quick at, measured: ``make bench``."""
