"""DALI-examples, and a DataLink service descriptor: what clients need to make forms and queries."""
