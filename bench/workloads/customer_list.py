"""A page of a hundred customers, eight columns."""

from __future__ import annotations

from bench.workloads.workload import Cursor, Workload, key_of, spread

_REQUESTS = 100

LIST = Workload(
    name="list",
    what="100 customers, 8 columns",
    text="""\
query list($after: String) {
  customers(first: 100, after: $after) {
    nodes {
      id
      databaseId
      firstName
      lastName
      username
      email
      town
      createdOn
    }
  }
}""",
    texts={
        "postgraphile": """\
query list($after: Cursor) {
  customers: allCustomers(first: 100, after: $after) {
    nodes {
      id
      databaseId: rowId
      firstName
      lastName
      username
      email
      town
      createdOn
    }
  }
}""",
        "strawchemy": """\
query list($after: Int!) {
  customers(limit: 100, filter: {id: {gt: $after}}) {
    id
    databaseId: id
    firstName
    lastName
    username
    email
    town
    createdOn
  }
}""",
    },
    requests=_REQUESTS,
    variables=lambda number, customers: {"after": Cursor(spread(number, _REQUESTS, customers))},
    sql="""\
SELECT textsend('{"data":{"customers":{"nodes":['||coalesce(string_agg(
  '{"id":"'||encode(textsend('Customer:'||id), 'base64')||
  '","databaseId":"'||id||
  '","firstName":'||json_scalar(first_name)||
  ',"lastName":'||json_scalar(last_name)||
  ',"username":'||json_scalar(username)||
  ',"email":'||json_scalar(email)||
  ',"town":'||json_scalar(town)||
  ',"createdOn":'||json_scalar(created_on)||'}', ',' ORDER BY id), '')||']}}}')
FROM (
  SELECT id, first_name, last_name, username, email, town, created_on
  FROM customers WHERE id > $1 ORDER BY id LIMIT 100
) AS page""",
    parameters=lambda variables: (key_of(variables["after"]),),
)
