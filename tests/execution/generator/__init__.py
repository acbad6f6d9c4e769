"""Stores, and operations on them, drawn at random.

stores       random rows for whatever tables the models have
known        what of a store an argument can name: ids, cursors, values
operations   random operations over whatever a schema has
sorts        sorts that fit what stands beside them
shapes       what may stand beside what in a selection set
"""

from tests.execution.generator.known import Known, known_of, survey
from tests.execution.generator.operations import Drawn, operations
from tests.execution.generator.stores import write_store, write_tables

__all__ = ["Drawn", "Known", "known_of", "operations", "survey", "write_store", "write_tables"]
