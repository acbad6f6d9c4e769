// Composes the subgraph in the file given, alone: the errors, and how often each directive of it
// stands in the subgraph and in the supergraph.
import { composeServices } from "@apollo/composition";
import { parse } from "graphql";
import { readFileSync } from "node:fs";

const text = readFileSync(process.argv[2], "utf8");
const { errors = [], supergraphSdl = "" } = composeServices([
  { name: "store", url: "http://localhost/graphql", typeDefs: parse(text) },
]);
const count = (directive, sdl) => sdl.match(new RegExp(`@${directive}\\b`, "g"))?.length ?? 0;
console.log(
  JSON.stringify({
    errors: errors.map(({ message }) => message),
    uses: Object.fromEntries(
      ["cost", "listSize", "requiresScopes", "authenticated"].map((directive) => [
        directive,
        [count(directive, text), count(directive, supergraphSdl)],
      ]),
    ),
  }),
);
