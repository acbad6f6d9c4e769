import { defineConfig } from "vite";

export default defineConfig({
  base: "/graphiql/",
  logLevel: "warn",
  build: {
    license: { fileName: "licenses.md" }, // of what is bundled
    chunkSizeWarningLimit: 4096, // kB: Monaco is one piece
    rolldownOptions: {
      checks: { moduleLevelDirective: false },
      // setup-workers/vite tells the console about each worker it starts.
      treeshake: { manualPureFunctions: ["console.info"] },
    },
  },
});
