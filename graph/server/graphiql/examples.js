// Named operations to begin with. The panel lists those that fit the schema.
export const EXAMPLES = [
  {
    about: "Filter: customers with an order of many pieces, by name",
    query: `query Filter($pieces: Int!) {
  customers(
    where: {orders: {some: {lineItems: {some: {quantity: {gte: $pieces}}}}}}
    orderBy: [{lastName: ASC}]
    first: 5
  ) {
    totalCount
    nodes {
      firstName
      lastName
      town
    }
  }
}
`,
    variables: { pieces: 3 },
  },
  {
    about: "Groups: what sold best, with its revenue",
    query: `query Groups {
  orderLines {
    groups(by: [{item: {column: NAME}}], orderBy: [{sum: {quantity: DESC}}], first: 5) {
      key {
        item {
          name
        }
      }
      aggregates {
        sum {
          quantity
          subtotal
        }
      }
    }
  }
}
`,
  },
  {
    about: "Mutation: an order that is too large, and its typed errors (a dry run)",
    query: `mutation PlaceOrder($input: PlaceOrderInput!) {
  placeOrder(input: $input, dryRun: true) {
    ... on OrderSaved {
      order {
        total
        status
      }
    }
    ... on InsufficientStock {
      shortages {
        item {
          name
        }
        requested
        available
      }
    }
    ... on ValidationFailed {
      problems {
        path
        code
        message
      }
    }
    ... on Error {
      code
      message
    }
  }
}
`,
    variables: { input: { customerId: "Q3VzdG9tZXI6MQ==", lines: [{ itemId: "SXRlbTox", quantity: 30000 }] } },
  },
  {
    about: "Subscription: each change of an item, as an event",
    query: `subscription Events {
  events(where: {entity: {eq: ITEM}}) {
    cursor
    node {
      kind
      payload
    }
  }
}
`,
  },
  {
    about: "Live query: the answer again whenever it changes",
    query: `subscription Live {
  live {
    items(first: 3) {
      nodes {
        name
        stock
        sellingPrice
      }
    }
  }
}
`,
  },
];
