const LOW = 5;

/** How many pieces can be sold. Words as well as a colour, for those who do not see the colour. */
export function Stock({ stock }: { stock: number | null }) {
  if (stock === null) return <p className="stock">Available</p>;
  if (stock <= 0) return <p className="stock out">Sold out</p>;
  return <p className={stock <= LOW ? "stock low" : "stock"}>{stock <= LOW ? `Only ${stock} left` : `${stock} in stock`}</p>;
}
