/**
 * The whole answer after each of its parts, which come one by one or several at once.
 *
 * GraphiQL puts parts together by itself, but only where it shows them.
 */
export async function* wholeAnswers(results) {
  const answer = {};
  const paths = new Map(); // of what is pending, by id
  for await (const result of results[Symbol.asyncIterator] ? results : [results]) {
    if (!Array.isArray(result)) {
      yield result;
      continue;
    }
    for (const part of result) {
      add(part, answer, paths);
    }
    yield { ...answer };
  }
}

function add({ data, errors = [], extensions, pending = [], incremental = [], completed = [] }, answer, paths) {
  const found = [...errors, ...[...incremental, ...completed].flatMap(({ errors = [] }) => errors)];
  if (found.length) {
    answer.errors = [...(answer.errors ?? []), ...found];
  }
  if (data !== undefined) {
    answer.data = data;
  }
  if (extensions) {
    answer.extensions = { ...answer.extensions, ...extensions };
  }
  for (const { id, path } of pending) {
    paths.set(id, path);
  }
  for (const { id, subPath = [], data, items } of incremental) {
    const target = [...paths.get(id), ...subPath].reduce((value, key) => value[key], answer.data);
    if (items) {
      target.push(...items);
    } else {
      Object.assign(target, data);
    }
  }
}
