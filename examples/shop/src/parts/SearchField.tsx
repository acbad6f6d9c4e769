import { useEffect, useState } from "react";

import { Field } from "./Field";

const PAUSE = 250;

/** A search that is sent when the typing pauses, not at each key. */
export function SearchField({ label, value, onSearch }: { label: string; value: string; onSearch: (text: string) => void }) {
  const [text, setText] = useState(value);
  useEffect(() => {
    if (text === value) return;
    const timer = setTimeout(() => onSearch(text), PAUSE);
    return () => clearTimeout(timer);
  });
  return <Field label={label} type="search" value={text} onChange={setText} />;
}
