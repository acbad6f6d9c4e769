import { useState, type FormEvent } from "react";

import { useChange } from "../api/change";
import { UpdateCustomerDocument, type CustomerFactsFragment } from "../gql/graphql";
import { Field } from "../parts/Field";
import { problemAt, Refusal } from "../parts/Refusal";

const FIELDS = {
  firstName: "Given name",
  lastName: "Family name",
  email: "Email",
  address: "Address",
  town: "Town",
} as const;

type Values = Pick<CustomerFactsFragment, keyof typeof FIELDS>;

/**
 * A form holds the version that its values were read at. If somebody else saves meanwhile, the
 * server refuses this one, and nothing that they wrote is lost.
 */
export function CustomerForm({ customer }: { customer: CustomerFactsFragment }) {
  const [edited, setEdited] = useState<{ version: number; values: Partial<Values> }>();
  const change = useChange(UpdateCustomerDocument, (data) => data.updateCustomer, () => setEdited(undefined));

  function edit(field: keyof Values, value: string) {
    setEdited({ version: edited?.version ?? customer.version, values: { ...edited?.values, [field]: value } });
  }

  function submit(event: FormEvent) {
    event.preventDefault();
    if (!edited) return;
    void change.send({ id: customer.id, expectedVersion: { version: edited.version }, ...edited.values });
  }

  return (
    <form className="panel form" onSubmit={submit} noValidate>
      <h2>Details</h2>
      {Object.entries(FIELDS).map(([name, label]) => {
        const field = name as keyof Values;
        return (
          <Field
            key={field}
            label={label}
            value={edited?.values[field] ?? customer[field]}
            problem={edited && problemAt(change.refused, field)}
            onChange={(value) => edit(field, value)}
          />
        );
      })}
      {edited && <Refusal change={change} hasFields onReload={() => setEdited(undefined)} />}
      <div className="row">
        <button className="primary" disabled={!edited || change.isSending}>
          {change.isSending ? "Saving…" : "Save"}
        </button>
        {edited && (
          <button type="button" className="quiet" onClick={() => setEdited(undefined)}>
            Discard
          </button>
        )}
      </div>
    </form>
  );
}
