// GraphQL Yoga 5 with graphql-jit on node:http; node-postgres with prepared statements, DataLoaders.
import { createServer } from "node:http";
import { useGraphQlJit } from "@envelop/graphql-jit";
import DataLoader from "dataloader";
import { createSchema, createYoga } from "graphql-yoga";
import pg from "pg";
import { openStore, typeDefs } from "../store.mjs";

const { resolvers, context } = openStore(pg, DataLoader);

const yoga = createYoga({
  schema: createSchema({ typeDefs, resolvers }),
  plugins: [useGraphQlJit()],
  context,
  graphiql: false,
  landingPage: false,
  cors: false,
  multipart: false,
});

createServer(yoga).listen(Number(process.env.PORT), "127.0.0.1");
