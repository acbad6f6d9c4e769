# The API in a container: `docker build -t graph .`, or `docker compose up` with a PostgreSQL beside it.

# GraphiQL's bundle. Debian's glibc, as in the stages below, and a Node that vite takes.
FROM node:24-slim AS graphiql
WORKDIR /graphiql
COPY graph/server/graphiql/package.json graph/server/graphiql/package-lock.json graph/server/graphiql/.npmrc ./
RUN npm ci
COPY graph/server/graphiql/ ./
RUN npm run build


# What graph runs on, with the backend that builds its wheel. All of it comes as wheels: one that is
# missing for this platform fails here, by name, and not in a compiler that the image does not have.
FROM python:3.13-slim AS dependencies
COPY requirements/run.txt /tmp/
RUN pip install --no-cache-dir --root-user-action=ignore --only-binary :all: \
        --require-hashes -r /tmp/run.txt


FROM dependencies AS wheel
WORKDIR /source
COPY pyproject.toml README.md LICENSE ./
COPY graph/ graph/
COPY --from=graphiql /graphiql/dist/ graph/server/graphiql/dist/
RUN pip wheel --no-deps --no-build-isolation --wheel-dir /wheel .


FROM dependencies
COPY --from=wheel /wheel/ /tmp/wheel/
RUN pip install --no-cache-dir --root-user-action=ignore --no-index --no-deps /tmp/wheel/*.whl \
    && rm -r /tmp/wheel /tmp/run.txt

# A number, so that an orchestrator can see that it is not root. The folder holds graph's own
# PostgreSQL where no GRAPH_DATABASE_URL is set: a volume there keeps the store.
RUN useradd --uid 10001 --no-create-home --home-dir /var/lib/graph graph \
    && install --directory --owner=graph --group=graph --mode=700 /var/lib/graph
USER 10001
WORKDIR /var/lib/graph
ENV GRAPH_HOST=0.0.0.0 GRAPH_PORT=8000 GRAPH_DATA_DIR=/var/lib/graph

EXPOSE 8000
# Not urllib: it would ask a proxy that the environment names.
HEALTHCHECK --interval=10s --timeout=5s --start-period=60s --retries=3 \
    CMD ["python", "-c", "import http.client, os, sys; server = http.client.HTTPConnection('127.0.0.1', int(os.environ['GRAPH_PORT']), timeout=4); server.request('GET', '/health/ready'); sys.exit(server.getresponse().status != 200)"]
# Requests that run get 15 seconds to end: let the container have more, `docker stop --time 20`.
STOPSIGNAL SIGTERM
CMD ["graph", "serve"]
