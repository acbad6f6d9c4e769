import { parse } from "graphql";

/**
 * The operation of a text that GraphiQL runs: the one of this name, or the first.
 *
 * GraphiQL reads the text a tenth of a second after each change. An example that
 * is opened and run at once would be sent with the name, and on the connection,
 * of the operation before it.
 */
export function selected(query, operationName) {
  let documentAST;
  try {
    documentAST = parse(query);
  } catch {
    return {}; // the server says what is wrong with it
  }
  const operations = documentAST.definitions.filter(({ kind }) => kind === "OperationDefinition");
  const operation = operations.find(({ name }) => name?.value === operationName) ?? operations[0];
  return { documentAST, operation: operation?.operation, operationName: operation?.name?.value };
}
