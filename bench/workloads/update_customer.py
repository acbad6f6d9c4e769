"""One customer gets another address: a new version, and an event in the history."""

from __future__ import annotations

from typing import Any

from bench.workloads.workload import Workload, global_id, key_in, spread

# Each customer is changed to and fro, so that every request changes something. They are few, as a
# round begins with the first request again: those that the last round ended with change nothing.
_REQUESTS = 100
_CUSTOMERS = 50

_SQL = """\
UPDATE {schema}customers SET address = $2 WHERE id = $1
RETURNING textsend('{{"data":{{"updateCustomer":{{"customer":{{"id":"'||
  encode(textsend('Customer:'||id), 'base64')||
  '","firstName":'||json_scalar(first_name)||
  ',"lastName":'||json_scalar(last_name)||
  ',"address":'||json_scalar(address)||
  ',"town":'||json_scalar(town)||'}}}}}}}}')"""


def _variables(number: int, customers: int) -> dict[str, Any]:
    key = 1 + spread(number % _CUSTOMERS, _CUSTOMERS, customers)
    return {
        "input": {
            "id": global_id("Customer", key),
            "expectedVersion": {"any": True},
            "address": f"{1 + number} Bench Street",
        }
    }


UPDATE = Workload(
    name="update",
    what="one customer's address is changed",
    text="""\
mutation update($input: UpdateCustomerInput!) {
  updateCustomer(input: $input) {
    ... on CustomerSaved {
      customer {
        id
        firstName
        lastName
        address
        town
      }
    }
  }
}""",
    requests=_REQUESTS,
    variables=_variables,
    sql=_SQL.format(schema="plain."),
    sql_with_features=_SQL.format(schema=""),
    parameters=lambda variables: (key_in(variables["input"]["id"]), variables["input"]["address"]),
    without={
        "yoga": "its schema only reads",
        "mercurius": "its schema only reads",
        "strawchemy": "its keys are no ids",
        "postgraphile": "it takes ids of its own only",
    },
)
