const money = new Intl.NumberFormat(undefined, { minimumFractionDigits: 2, maximumFractionDigits: 2 });
const times = new Intl.DateTimeFormat(undefined, { dateStyle: "medium", timeStyle: "short" });

/** Money stays the text that the API sends: `Intl` formats texts exactly, and numbers are not exact. */
export const asMoney = (amount: string): string => money.format(amount as Intl.StringNumericLiteral);

export const asTime = (time: string): string => times.format(new Date(time));

/** `PLACED` and `CHANGE_LINES` as words. */
export const inWords = (constant: string): string =>
  constant.charAt(0) + constant.slice(1).toLowerCase().replaceAll("_", " ");

export const nameOf = (person: { firstName: string; lastName: string }): string =>
  `${person.firstName} ${person.lastName}`;

export const pathTo = (kind: "items" | "orders" | "customers", id: string): string =>
  `/${kind}/${encodeURIComponent(id)}`;
