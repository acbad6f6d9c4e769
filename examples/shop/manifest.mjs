// Writes what the server has to know of a release: its documents by their hash, and whose they are.
// The form is that of Apollo's tools, with the client and the release beside it.
import { readFileSync, writeFileSync } from "node:fs";

const read = (path) => JSON.parse(readFileSync(new URL(path, import.meta.url), "utf8"));
const { version } = read("package.json");
const release = process.env.RELEASE ?? version;

const manifest = {
  format: "apollo-persisted-query-manifest",
  version: 1,
  client: "shop",
  release,
  operations: Object.entries(read("src/gql/persisted-documents.json")).map(([id, body]) => {
    const [, type, name] = /\b(query|mutation|subscription) (\w+)/.exec(body) ?? [];
    return { id, name, type, body };
  }),
};

const path = new URL("dist/manifest.json", import.meta.url);
writeFileSync(path, `${JSON.stringify(manifest, null, 2)}\n`);
