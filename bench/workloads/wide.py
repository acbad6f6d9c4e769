"""Many rows of many columns: a hundred customers, up to twenty orders of each."""

from __future__ import annotations

from bench.workloads.workload import Cursor, Workload, key_of, spread

_REQUESTS = 100

WIDE = Workload(
    name="wide",
    what="100 customers, 20 orders each, with all their stored columns",
    text="""\
query wide($after: String) {
  customers(first: 100, after: $after) {
    nodes {
      id
      databaseId
      firstName
      lastName
      username
      email
      address
      town
      createdOn
      updatedOn
      version
      orders(first: 20) {
        nodes {
          id
          databaseId
          datePlaced
          status
          version
        }
      }
    }
  }
}""",
    texts={
        "postgraphile": """\
query wide($after: Cursor) {
  customers: allCustomers(first: 100, after: $after) {
    nodes {
      id
      databaseId: rowId
      firstName
      lastName
      username
      email
      address
      town
      createdOn
      updatedOn
      version
      orders: ordersByCustomerId(first: 20) {
        nodes {
          id
          databaseId: rowId
          datePlaced
          status
          version
        }
      }
    }
  }
}""",
        "strawchemy": """\
query wide($after: Int!) {
  customers(limit: 100, filter: {id: {gt: $after}}) {
    id
    databaseId: id
    firstName
    lastName
    username
    email
    address
    town
    createdOn
    updatedOn
    version
    orders(limit: 20) {
      id
      databaseId: id
      datePlaced
      status
      version
    }
  }
}""",
    },
    without={
        "strawberry": "no versions in its schema",
        "yoga": "no versions in its schema",
        "mercurius": "no versions in its schema",
    },
    requests=_REQUESTS,
    variables=lambda number, customers: {"after": Cursor(spread(number, _REQUESTS, customers))},
    sql="""\
SELECT textsend('{"data":{"customers":{"nodes":['||coalesce(string_agg(
  '{"id":"'||encode(textsend('Customer:'||c.id), 'base64')||
  '","databaseId":"'||c.id||
  '","firstName":'||json_scalar(c.first_name)||
  ',"lastName":'||json_scalar(c.last_name)||
  ',"username":'||json_scalar(c.username)||
  ',"email":'||json_scalar(c.email)||
  ',"address":'||json_scalar(c.address)||
  ',"town":'||json_scalar(c.town)||
  ',"createdOn":'||json_scalar(c.created_on)||
  ',"updatedOn":'||json_scalar(c.updated_on)||
  ',"version":'||c.version||
  ',"orders":{"nodes":['||coalesce((
    SELECT string_agg(
      '{"id":"'||encode(textsend('Order:'||o.id), 'base64')||
      '","databaseId":"'||o.id||
      '","datePlaced":'||json_scalar(o.date_placed)||
      ',"status":"'||o.status||
      '","version":'||o.version||'}', ',' ORDER BY o.id)
    FROM (
      SELECT id, date_placed, status, version
      FROM orders WHERE customer_id = c.id ORDER BY id LIMIT 20
    ) AS o), '')||']}}', ',' ORDER BY c.id), '')||']}}}')
FROM (
  SELECT * FROM customers WHERE id > $1 ORDER BY id LIMIT 100
) AS c""",
    parameters=lambda variables: (key_of(variables["after"]),),
)
