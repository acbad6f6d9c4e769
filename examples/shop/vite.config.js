import { readFileSync } from "node:fs";

import react from "@vitejs/plugin-react";
import { defineConfig } from "vite";

const api = process.env.GRAPH_URL ?? "http://127.0.0.1:8000";

// The page and the API have one origin, as they would behind one load balancer: no CORS, and no
// address in the build. The Host stays that of the page, so the server sees the same origin too.
const proxy = {
  "/graphql": { target: api, ws: true },
  "/graphiql": { target: api }, // demo roles and their tokens
};

// What a server of the built files should send. Nothing is inline, and nothing comes from elsewhere.
const policy =
  "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self'; connect-src 'self'; " +
  "base-uri 'none'; form-action 'none'; frame-ancestors 'none'";

const { version } = JSON.parse(readFileSync(new URL("package.json", import.meta.url), "utf8"));

export default defineConfig(({ command }) => ({
  plugins: [react()],
  define: { "import.meta.env.VITE_RELEASE": JSON.stringify(process.env.RELEASE ?? version) },
  logLevel: command === "build" ? "warn" : "info",
  clearScreen: false,
  build: { assetsInlineLimit: 0, license: { fileName: "licenses.md" } },
  server: { host: "127.0.0.1", port: 5173, proxy },
  preview: {
    host: "127.0.0.1",
    proxy,
    headers: { "Content-Security-Policy": policy, "X-Content-Type-Options": "nosniff" },
  },
}));
