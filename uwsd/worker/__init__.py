"""The worker: the one process that stays with a job from its start to its end.

It runs as ``python -I -S .../uwsd/worker WORKSPACE``, needs nothing but the standard library
of Python 3.9 (so that the folder can be copied to wherever jobs run), and outlives whoever
started it. In the job's workspace it finds and leaves, in ``run/``:

``task.json``    what to run (`records.Order`), there before the worker is
``start.json``   whose job this is (`records.Start`); made once, so a second worker leaves
``command.json`` (`records.Leader`) who leads the command's session, for those who clean up after it
``limits.json``  a new duration, read again on SIGHUP; where nobody can send one, by and by
``before-N/``    what an engine's tries left that came before its N-th restart of the job
``cancel``       there if SIGTERM was a client's wish, and not the machine going down
``exit.json``    how it ended (`records.Exit`): the only thing that is believed about that

SIGTERM ends the whole process tree, in the task's time of grace; SIGQUIT ends it at once.
"""
