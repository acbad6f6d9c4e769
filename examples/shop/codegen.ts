import { addTypenameSelectionDocumentTransform } from "@graphql-codegen/client-preset";
import type { CodegenConfig } from "@graphql-codegen/cli";

// `documents` are the .graphql files beside the pages; `src/gql` is made of them and of the schema.
const config: CodegenConfig = {
  schema: "../../schema.graphql",
  documents: "src/**/*.graphql",
  silent: true,
  generates: {
    "src/gql/": {
      preset: "client",
      // Each document gets the hash of its text, by which the server knows it (see manifest.mjs).
      presetConfig: { fragmentMasking: false, persistedDocuments: true },
      // The cache wants `__typename` everywhere, so it has to be in the texts that are hashed.
      documentTransforms: [addTypenameSelectionDocumentTransform],
      config: {
        enumType: "string-literal",
        useTypeImports: true,
        strictScalars: true,
        scalars: {
          ID: "string",
          BigInt: { input: "string | number", output: "string" },
          Decimal: "string", // money is exact, and a number is not
          DateTime: "string",
          JSON: "unknown",
        },
      },
    },
    "src/gql/possible-types.json": { plugins: ["fragment-matcher"] },
  },
};

export default config;
