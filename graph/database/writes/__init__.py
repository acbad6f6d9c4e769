"""The rules of changing the store, in plain values: what each mutation does, and when it refuses.

    values       what a mutation's input must be; collects all problems
    rules        what may be done with an order in which status
    stock        pieces are taken and put back
    constraints  what a violated constraint means
    customers, items, orders, lines    the changes themselves
    bulk         many rows at once
    keys         requests that are asked again

Each change is a few statements in a transaction that somebody else commits. Locks are taken in one
order, so that two changes never wait for each other: the order's row, then items by their ids.
"""
