import { useMemo, type ReactNode } from "react";
import { Provider } from "urql";

import { clientOf } from "../api/client";
import { signOut, useToken } from "../api/session";
import { BasketPage } from "../basket/BasketPage";
import { emptyBasket, useBasket } from "../basket/basket";
import { CustomerPage } from "../customers/CustomerPage";
import { CustomersPage } from "../customers/CustomersPage";
import { ItemPage } from "../items/ItemPage";
import { ItemsPage } from "../items/ItemsPage";
import { OrderPage } from "../orders/OrderPage";
import { OrdersPage } from "../orders/OrdersPage";
import { NetworkBanner } from "./NetworkBanner";
import { Link, Page, useLocation } from "./router";
import { SignInPage } from "./SignInPage";
import { useViewer, ViewerProvider, type Permission } from "./viewer";

type Route = { at: RegExp; page: (id: string) => ReactNode; needs?: Permission[] };

const routes: Route[] = [
  { at: /^\/$/, page: () => <ItemsPage /> },
  { at: /^\/items\/(.+)$/, page: (id) => <ItemPage id={id} /> },
  { at: /^\/basket$/, page: () => <BasketPage />, needs: ["own", "orders:write"] },
  { at: /^\/orders$/, page: () => <OrdersPage />, needs: ["own", "store:read"] },
  { at: /^\/orders\/(.+)$/, page: (id) => <OrderPage id={id} />, needs: ["own", "store:read"] },
  { at: /^\/customers$/, page: () => <CustomersPage />, needs: ["store:read"] },
  { at: /^\/customers\/(.+)$/, page: (id) => <CustomerPage id={id} />, needs: ["own", "store:read"] },
  { at: /^\/sign-in$/, page: () => <SignInPage /> },
];

export function App() {
  const token = useToken();
  const client = useMemo(() => clientOf(token), [token]);
  return (
    <Provider value={client} key={token}>
      <a className="skip" href="#main">
        Skip to the content
      </a>
      <NetworkBanner />
      <ViewerProvider>
        <Navigation />
        <CurrentPage />
      </ViewerProvider>
    </Provider>
  );
}

function Navigation() {
  const { role, customer, may } = useViewer();
  const token = useToken();
  const { lines } = useBasket();
  const pieces = lines.reduce((sum, line) => sum + line.quantity, 0);
  return (
    <header className="bar">
      <nav aria-label="Shop">
        <Link href="/" className="brand">
          Shop
        </Link>
        {may("own", "store:read") && <Link href="/orders">Orders</Link>}
        {may("store:read") && <Link href="/customers">Customers</Link>}
        <Link href="/basket">
          Basket <span className="count">{pieces}</span>
        </Link>
      </nav>
      <div className="who">
        <span className="role">{customer ? customer.firstName : role}</span>
        {token ? (
          <button className="quiet" onClick={() => (emptyBasket(), signOut())}>
            Sign out
          </button>
        ) : (
          <Link href="/sign-in" className="button">
            Sign in
          </Link>
        )}
      </div>
    </header>
  );
}

function CurrentPage() {
  const { pathname } = useLocation();
  const { may } = useViewer();
  for (const { at, page, needs } of routes) {
    const found = at.exec(pathname);
    if (!found) continue;
    if (needs && !may(...needs)) return <SignInPage key={pathname} />;
    // A key for each page: what one page remembers is not for another.
    return <div key={pathname}>{page(decodeURIComponent(found[1] ?? ""))}</div>;
  }
  return (
    <Page title="Nothing is here">
      <p>
        This page does not exist. <Link href="/">To the items</Link>
      </p>
    </Page>
  );
}
