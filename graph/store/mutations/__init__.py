"""The mutations. Each is a transaction and returns a union of its success and its errors."""

from graph.store.mutations.fields import Mutation

__all__ = ["Mutation"]
