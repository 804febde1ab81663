"""VO Support Interfaces 1.1: what the platform and its services say of themselves."""
