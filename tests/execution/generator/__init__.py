"""Random stores, and random operations on them.

stores       random rows for all tables of the models
known        the ids, cursors and values of a store that arguments can use
operations   random operations over any schema
sorts        sorts that are valid beside the other arguments
shapes       selections that can be merged in one selection set
"""

from tests.execution.generator.known import Known, known_of, survey
from tests.execution.generator.operations import Drawn, operations
from tests.execution.generator.stores import write_store, write_tables

__all__ = ["Drawn", "Known", "known_of", "operations", "survey", "write_store", "write_tables"]
