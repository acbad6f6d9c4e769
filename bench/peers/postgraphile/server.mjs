// PostGraphile 5 in library mode, on node:http: the amber preset and the filters of its plugin,
// without Ruru and watching.
import { createServer } from "node:http";
import { grafserv } from "postgraphile/grafserv/node";
import { postgraphile } from "postgraphile";
import { makePgService } from "postgraphile/adaptors/pg";
import { PostGraphileAmberPreset } from "postgraphile/presets/amber";
import { PostGraphileConnectionFilterPreset } from "postgraphile-plugin-connection-filter";

const preset = {
  extends: [PostGraphileAmberPreset, PostGraphileConnectionFilterPreset],
  // Where PostgreSQL is, node-postgres reads from PGHOST, PGPORT, PGUSER and PGDATABASE. Connections
  // are kept while the other servers have their turns, as a busy server would keep them.
  pgServices: [
    makePgService({ schemas: ["public"], poolConfig: { max: 10, idleTimeoutMillis: 0 } }),
  ],
  grafserv: { watch: false, graphiql: false },
  grafast: { explain: false },
};

const server = createServer();
await postgraphile(preset).createServ(grafserv).addTo(server);
server.listen(Number(process.env.PORT), "127.0.0.1");
