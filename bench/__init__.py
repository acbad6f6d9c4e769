"""The bench: what the same requests cost `graph`, other servers, and the least that is possible.

    make bench
    make bench ARGS="--workload nested --connections 16 --rounds 9"
    make bench ARGS="--connections 1,16,64 --markdown"
    make bench ARGS=--growth
    python -m bench.memory worker

It starts everything itself: a PostgreSQL, the data, the servers, the load. The numbers that count
are CPU seconds, of a server and of PostgreSQL together, for a thousand requests: on a busy machine
they change less than times do, and they are what one pays for. `limit` answers each workload with
one hand-written statement; the CPU of all others is given as multiples of the limit's.

    __main__     the options
    comparison   start, see that all servers agree, measure, print
    store        PostgreSQL and the data
    servers      what is compared; `peers/` has those that are not `graph`
    workloads/   what is asked
    running      a server's process        load, generator   the load's, and our end of it
    processes    CPU and memory, from /proc        statements   how many a request costs
    rounds       the measuring             report, markdown  the tables
    growth       the same requests over stores of three sizes
    same         what counts as the same data
    memory       what new documents leave in a worker, of `documents` that are all different
    in_process   the application in the process of the bench
    node, environments   what the peers need that is not part of the project: fetched if missing
"""
