"""The store that graph serves. Everything that names an entity is in this package.

    models        tables and computed columns
    triggers      versions, prices and events, which the database maintains
    log           what the engine has to know of the event log
    history       the event log as the API shows it
    types         the entities as GraphQL types
    queries       the fields of `Query`
    mutations/    the fields of `Mutation`, their inputs and results
    actions       the actions that an order allows
    writes/       the rules of each change
    errors        domain errors of this store
    schema        the GraphQL schema
    seed/         a demo store
    transfer/     import and export
    migrations/   the history of the tables

Importing the package fills `graph.database.catalog`, through which the engine knows the store.
"""

from graph.store import log as log
from graph.store import models as models
from graph.store.writes import constraints as constraints
