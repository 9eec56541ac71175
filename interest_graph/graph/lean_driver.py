"""The Neo4j driver, without what it would load to make data frames, which nobody asks for.

Where pandas and pyarrow are installed, training's packages bring them, the driver imports both:
70 MB and a second more in each process. Whoever wants them imports them afterwards as ever.
"""

import sys

UNWANTED = ("pandas", "pyarrow")

_hidden = [name for name in UNWANTED if name not in sys.modules]
sys.modules.update(dict.fromkeys(_hidden))  # type: ignore[arg-type] # None: not to be found
try:
    import neo4j
    import neo4j.exceptions
finally:
    for _name in _hidden:
        del sys.modules[_name]

__all__ = ["neo4j"]
