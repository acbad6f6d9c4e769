import { useState, type FormEvent } from "react";

import { signIn } from "../api/session";
import { Field } from "../parts/Field";
import { navigate, Page, useLocation } from "./router";

const ROLES = [
  { role: "customer", about: "sees items, and their own orders" },
  { role: "clerk", about: "sees all customers and orders, and moves them on" },
  { role: "manager", about: "sees costs and the history of everything, too" },
];

/** The roles of a server under development. With an identity provider, its page stands here. */
export function SignInPage() {
  const { pathname } = useLocation();
  const [role, setRole] = useState("customer");
  const [number, setNumber] = useState("2");
  const [problem, setProblem] = useState("");

  async function submit(event: FormEvent) {
    event.preventDefault();
    try {
      await signIn(role, role === "customer" ? Number(number) : undefined);
      if (pathname === "/sign-in") navigate("/");
    } catch (error) {
      setProblem((error as Error).message);
    }
  }

  return (
    <Page title="Sign in">
      <form className="panel form" onSubmit={submit}>
        <fieldset>
          <legend>Who are you?</legend>
          {ROLES.map(({ role: name, about }) => (
            <label key={name} className="choice">
              <input type="radio" name="role" checked={role === name} onChange={() => setRole(name)} />
              <span>
                <strong>{name}</strong> {about}
              </span>
            </label>
          ))}
        </fieldset>
        {role === "customer" && (
          <Field label="Number of the customer" type="number" min="1" required value={number} onChange={setNumber} />
        )}
        {problem && <p role="alert">{problem}</p>}
        <button className="primary">Sign in</button>
      </form>
    </Page>
  );
}
