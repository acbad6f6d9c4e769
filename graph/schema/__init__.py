"""The declarations of which a schema consists, and the types that are generated from them."""
