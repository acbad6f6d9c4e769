"""An async GraphQL API over a store: customers, their orders, each order's lines, the items."""
