"""``/oai``: OAI-PMH 2.0 in the profile of Registry Interfaces 1.1 section 3."""
