"""The store that graph serves. Everything that names an entity is in this package.

    models        tables and computed columns             triggers      what the database keeps by
    itself types         the entities as clients see them        queries       the fields of `Query`
    mutations/    the fields of `Mutation`, their inputs and results
    actions       what may be done with an order          writes/       the rules of each change
    schema        all of it, as one GraphQL schema        errors        domain errors of this store
    seed/         a demo store                            transfer/     import and export
    migrations/   how the tables came to be

Importing the package fills `graph.database.catalog`, by which the engine knows the store.
"""

from graph.store import models as models
from graph.store.writes import constraints as constraints
