"""A publishing registry: what this site offers, for the whole VO to find.

VOResource records (made in `records`, kept in `store`) and the OAI-PMH endpoint that harvesters
read them from (`oai`), as Registry Interfaces 1.1 wants them.
"""
