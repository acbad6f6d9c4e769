import { defineConfig } from "vite";

// setup-workers/vite tells the console about each worker it starts, and a worker of directives.
const silent = { manualPureFunctions: ["console.info", "console.log"] };

export default defineConfig({
  base: "/graphiql/",
  logLevel: "warn",
  build: {
    license: { fileName: "licenses.md" }, // of what is bundled
    chunkSizeWarningLimit: 4096, // kB: Monaco is one piece
    rolldownOptions: { checks: { moduleLevelDirective: false }, treeshake: silent },
  },
  worker: { rolldownOptions: { treeshake: silent } },
});
