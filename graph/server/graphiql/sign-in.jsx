import { useEffect, useRef, useState } from "react";

// For this tab, until it is closed: no link, no other tab and no history entry has the token.
const TOKEN = "graph:token";
const NAME = "graph:name";

export const isSignedIn = () => sessionStorage.getItem(TOKEN) !== null;

/** `fetch`, with the token of this tab. */
export function fetchSignedIn(url, init) {
  const token = sessionStorage.getItem(TOKEN);
  const headers = new Headers(init?.headers);
  // Whoever types a header of their own in the editor means that one.
  if (token && !headers.has("authorization")) {
    headers.set("authorization", `Bearer ${token}`);
  }
  return fetch(url, { ...init, headers });
}

/** What a WebSocket begins with: the token of this tab, unless the editor has headers of its own. */
export const connectionParams = {
  get headers() {
    const token = sessionStorage.getItem(TOKEN);
    return token ? { authorization: `Bearer ${token}` } : {};
  },
};

/** Who runs the operations of this tab: paste a token, or pick a role where the server offers some. */
export function SignIn() {
  const [name, setName] = useState(sessionStorage.getItem(NAME));
  const [roles, setRoles] = useState([]);
  const [problem, setProblem] = useState("");
  const menu = useRef(null);

  useEffect(() => {
    fetch("/graphiql/roles")
      .then((response) => response.json())
      .then((offered) => setRoles(offered.roles))
      .catch(() => setProblem("The roles to try out could not be loaded."));
  }, []);

  useEffect(() => {
    function close(event) {
      const { current } = menu;
      const isOutside = event.type === "pointerdown" && !current.contains(event.target);
      if (current.open && (isOutside || event.key === "Escape")) {
        current.open = false;
        if (!isOutside) {
          current.firstElementChild.focus();
        }
      }
    }
    window.addEventListener("pointerdown", close);
    window.addEventListener("keydown", close);
    return () => {
      window.removeEventListener("pointerdown", close);
      window.removeEventListener("keydown", close);
    };
  }, []);

  function signIn(token, newName) {
    sessionStorage.setItem(TOKEN, token);
    sessionStorage.setItem(NAME, newName);
    setName(newName);
    setProblem("");
    menu.current.open = false;
  }

  function signOut() {
    sessionStorage.removeItem(TOKEN);
    sessionStorage.removeItem(NAME);
    setName(null);
    menu.current.open = false;
  }

  async function tryRole(event) {
    event.preventDefault();
    const { role, own } = Object.fromEntries(new FormData(event.target));
    const response = await fetch("/graphiql/tokens", {
      method: "POST",
      headers: { "content-type": "application/json" },
      body: JSON.stringify({ role, own: own ? Number(own) : null }),
    });
    const answer = await response.json();
    if (response.ok) {
      signIn(answer.token, own ? `${role} ${own}` : role);
    } else {
      setProblem(answer.errors[0].message);
    }
  }

  function paste(event) {
    event.preventDefault();
    const token = new FormData(event.target).get("token").trim();
    if (/^[\w.~+/=-]+$/.test(token)) {
      event.target.reset();
      signIn(token, "a pasted token");
    } else {
      setProblem("This is not a token.");
    }
  }

  return (
    <details className="sign-in" ref={menu}>
      <summary>{name ? `Signed in: ${name}` : "Sign in"}</summary>
      <div>
        {roles.length > 0 && <Roles roles={roles} onSubmit={tryRole} />}
        <form onSubmit={paste}>
          <label>
            Token
            <input name="token" type="password" autoComplete="off" required />
          </label>
          <button>Use it</button>
        </form>
        {name && (
          <button type="button" onClick={signOut}>
            Sign out
          </button>
        )}
        {problem && <p role="alert">{problem}</p>}
      </div>
    </details>
  );
}

function Roles({ roles, onSubmit }) {
  const [role, setRole] = useState(roles[0]);
  return (
    <form onSubmit={onSubmit}>
      <label>
        Role
        <select name="role" value={role} onChange={(event) => setRole(event.target.value)}>
          {roles.map((each) => (
            <option key={each}>{each}</option>
          ))}
        </select>
      </label>
      {role === "customer" && (
        <label>
          databaseId of the customer
          <input name="own" type="number" min="1" max={Number.MAX_SAFE_INTEGER} defaultValue="1" required />
        </label>
      )}
      <button>Try it</button>
    </form>
  );
}
