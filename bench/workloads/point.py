"""One customer by its number, five columns."""

from __future__ import annotations

from bench.workloads.workload import Workload, spread

_REQUESTS = 1000

POINT = Workload(
    name="point",
    what="one customer by its number, 5 columns",
    text="""\
query point($id: BigInt!) {
  customer(by: {databaseId: $id}) {
    id
    firstName
    lastName
    username
    email
  }
}""",
    texts={
        "postgraphile": """\
query point($id: BigInt!) {
  customer: customerByRowId(rowId: $id) {
    id
    firstName
    lastName
    username
    email
  }
}""",
        "strawchemy": """\
query point($id: Int!) {
  customer(id: $id) {
    id
    firstName
    lastName
    username
    email
  }
}""",
    },
    requests=_REQUESTS,
    variables=lambda number, customers: {"id": 1 + spread(number, _REQUESTS, customers)},
    sql="""\
SELECT textsend(
  '{"data":{"customer":{"id":"'||encode(textsend('Customer:'||id), 'base64')||
  '","firstName":'||json_scalar(first_name)||
  ',"lastName":'||json_scalar(last_name)||
  ',"username":'||json_scalar(username)||
  ',"email":'||json_scalar(email)||'}}}')
FROM customers
WHERE id = $1""",
    parameters=lambda variables: (variables["id"],),
)
