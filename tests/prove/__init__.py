"""The proof that nothing is oversold, doubled or lost, with real connections and real faults.

    make prove                         all of it at length, and the figures
    GRAPH_PROVE_ROUNDS=50 make prove   a chosen number of rounds

`make test` runs the same tests with one round each. The answers to clients are compared with the
books, which are SQL over the tables and share no code with `graph` (`books`).

    shop     buyers: HTTP requests, repeated until one is answered
    books    invariants of the store at the end
    model    the store in plain Python, for the stateful test
"""
