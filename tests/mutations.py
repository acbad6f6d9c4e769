"""Documents of mutations for tests: each selects all members of its union."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from graph.store.schema import schema

if TYPE_CHECKING:
    from tests.conftest import Client

# An `expectedVersion` that accepts every version.
ANY = {"any": True}

SCHEMA = schema._schema  # noqa: SLF001  Strawberry has no other way to it

# Error -> what to ask of it beside code and message.
ERRORS = {
    "ValidationFailed": "problems { path code message }",
    "NotFound": "id",
    "Conflict": """current { id ... on Customer { version } ... on Item { version stock }
                             ... on Order { version status } }""",
    "InsufficientStock": "shortages { item { databaseId } requested available }",
    "NotAllowed": "reasons { code message }",
    "IdempotencyMismatch": "",
}
_CUSTOMER = """... on CustomerSaved { customer { id databaseId username email town version
    createdOn updatedOn } }"""
_ITEM = "... on ItemSaved { item { id databaseId name costPrice sellingPrice stock version } }"
_ORDER = """order { id databaseId status version total lineItems(first: 100) { nodes {
    id databaseId quantity cancelledQuantity taken unitPrice
    itemName subtotal item { databaseId stock } } } }"""

# Mutation -> the name of its input, and what to ask of its success.
SUCCESSES = {
    "createCustomer": _CUSTOMER,
    "updateCustomer": _CUSTOMER,
    "deleteCustomer": "... on CustomerDeleted { deletedId }",
    "createItem": _ITEM,
    "updateItem": _ITEM,
    "adjustStock": _ITEM,
    "placeOrder": f"... on OrderSaved {{ {_ORDER} }}",
    "addOrderLine": f"... on OrderLineSaved {{ line {{ id }} {_ORDER} }}",
    "changeOrderLine": f"... on OrderLineSaved {{ line {{ id }} {_ORDER} }}",
    "removeOrderLine": f"... on OrderSaved {{ {_ORDER} }}",
    "advanceOrder": f"... on OrderSaved {{ {_ORDER} }}",
    "cancelOrder": f"... on OrderSaved {{ {_ORDER} }}",
}


def at(version: int) -> dict[str, int]:
    """An `expectedVersion` that accepts this version only."""
    return {"version": version}


def mutation(name: str, *, key: bool = False) -> str:
    """The text of a mutation that takes `$input`, `$dryRun`, and `$key` if it has one."""
    input_ = name[0].upper() + name[1:] + "Input"
    return f"""mutation ($input: {input_}!, $dryRun: Boolean! = false{", $key: String!" * key}) {{
        {name}(input: $input, dryRun: $dryRun){" @idempotent(key: $key)" * key} {{
            __typename {SUCCESSES[name]} ... on Error {{ code message }} {errors_of(name)} }} }}"""


def errors_of(name: str) -> str:
    """Fragments on the errors that a mutation can meet."""
    union: Any = SCHEMA.mutation_type and SCHEMA.mutation_type.fields[name].type
    errors = [type_.name for type_ in union.types if type_.name in ERRORS]
    return " ".join(f"... on {error} {{ __typename {ERRORS[error]} }}" for error in errors)


async def run(client: Client, name: str, /, *, dry_run: bool = False, **values: Any) -> Any:
    """The answer of a mutation that is given these values."""
    data = await client(mutation(name), input=values, dryRun=dry_run)
    return data[name]
