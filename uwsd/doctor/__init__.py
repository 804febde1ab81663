"""Is a site able to work? It tries all that a job needs, and says how to mend what is broken.

`installation` looks at this machine; `probes` is the table of the small jobs that are tried on each
backend, `examination` runs them, and `remedies` tells what helps.
"""
