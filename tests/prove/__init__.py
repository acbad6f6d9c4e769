"""The proof: nothing is oversold, doubled or lost, with real connections and real faults.

    make prove                         all of it at length, and the figures
    GRAPH_PROVE_ROUNDS=50 make prove   at any length

`make test` runs the same tests with one round each. What the clients were told is compared with the
books, which are SQL over the tables and know nothing of this code (`books`).

    shop     buyers: requests over HTTP, repeated until somebody answers
    books    what must be true of the store at the end
    model    the store in plain Python, for the stateful test
"""
