import { useId, type ComponentProps } from "react";

type Props = Omit<ComponentProps<"input">, "onChange"> & {
  label: string;
  problem?: string | undefined;
  hint?: string;
  onChange: (value: string) => void;
};

/** An input with its label, and with the problem that the server found in its value. */
export function Field({ label, problem, hint, onChange, ...input }: Props) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <input
        {...input}
        id={id}
        aria-invalid={problem ? true : undefined}
        aria-describedby={problem || hint ? `${id}-note` : undefined}
        onChange={(event) => onChange(event.target.value)}
      />
      {(problem || hint) && (
        <p id={`${id}-note`} className={problem ? "problem" : "hint"} role={problem ? "alert" : undefined}>
          {problem ?? hint}
        </p>
      )}
    </div>
  );
}

type Choice = { label: string; value: string; choices: Record<string, string>; onChange: (value: string) => void };

export function Select({ label, value, choices, onChange }: Choice) {
  const id = useId();
  return (
    <div className="field">
      <label htmlFor={id}>{label}</label>
      <select id={id} value={value} onChange={(event) => onChange(event.target.value)}>
        {Object.entries(choices).map(([choice, name]) => (
          <option key={choice} value={choice}>
            {name}
          </option>
        ))}
      </select>
    </div>
  );
}
