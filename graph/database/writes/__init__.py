"""The engine's part of every change: validation of inputs, idempotency keys, many rows at once.

    values        the values of an input; collects all of its problems
    idempotency   repeated requests
    bulk          many rows at once

A rule of the store makes its change in a few statements, in a transaction that the caller commits.
"""
