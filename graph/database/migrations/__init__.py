"""The migrations of the engine's own tables. They run before those of the store."""
