"""The changes that a client may ask for. Each is a transaction, and answers with a union."""

from graph.store.mutations.fields import Mutation

__all__ = ["Mutation"]
