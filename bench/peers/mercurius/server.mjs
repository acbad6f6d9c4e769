// Mercurius with its JIT on Fastify, which writes no line for a request; node-postgres, DataLoaders.
import DataLoader from "dataloader";
import Fastify from "fastify";
import mercurius from "mercurius";
import pg from "pg";
import { openStore, typeDefs } from "../store.mjs";

const { resolvers, context } = openStore(pg, DataLoader);
const app = Fastify({ logger: false });
// Compiles a query when it comes the first time.
app.register(mercurius, {
  schema: typeDefs,
  resolvers,
  context,
  jit: 1,
});
await app.listen({ port: Number(process.env.PORT), host: "127.0.0.1" });
