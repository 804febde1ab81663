"""Start the worker, as a module of uwsd or as a folder with no uwsd in sight."""

import sys
from importlib import import_module
from pathlib import Path
from types import ModuleType

# Under `-I -S` a folder that is run is no package, and its parent must not become visible:
# next to the worker there is a whole server, with modules of many names.
package = ModuleType("worker")
package.__path__ = [str(Path(__file__).parent)]
sys.modules[package.__name__] = package
sys.exit(import_module("worker.run").main(*sys.argv[1:]))
