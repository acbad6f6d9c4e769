import type { Change } from "../api/change";
import type { RefusedFragment } from "../gql/graphql";

/** The problem of one value of the input, such as `input.lines.0.quantity`. */
export function problemAt(refused: RefusedFragment | undefined, ...path: string[]): string | undefined {
  if (refused?.__typename !== "ValidationFailed") return undefined;
  const at = ["input", ...path].join(".");
  return refused.problems.find((problem) => problem.path.join(".") === at)?.message;
}

type Props = {
  change: Pick<Change<never>, "refused" | "failure">;
  /** For those whose form holds values of an older version. Without it, the page shows the new one already. */
  onReload?: () => void;
  /** Whether the page shows the problems of values where they stand. */
  hasFields?: boolean;
};

/** Why a change was refused, for all reasons that have no better place on the page. */
export function Refusal({ change: { refused, failure }, onReload, hasFields = false }: Props) {
  if (failure) return <p role="alert">{failure}</p>;
  if (!refused) return null;
  switch (refused.__typename) {
    case "ValidationFailed":
      if (hasFields) return <p role="alert">Not saved: see the fields that are marked.</p>;
      return <Alert message={refused.message} details={refused.problems.map((problem) => problem.message)} />;
    case "NotAllowed":
      return <Alert message={refused.message} details={refused.reasons.map((reason) => reason.message)} />;
    case "InsufficientStock":
      return (
        <Alert
          message={refused.message}
          details={refused.shortages.map(({ item, available }) => `${item.name}: ${available} left.`)}
        />
      );
    case "Conflict":
      return (
        <div role="alert">
          <p>Not saved: somebody else has changed this meanwhile.</p>
          {onReload ? (
            <button onClick={onReload}>Reload</button>
          ) : (
            <p>You see it as it is now. Try again, if you still want to.</p>
          )}
        </div>
      );
    default: // also an error of a later version of the API
      return <p role="alert">{refused.message}</p>;
  }
}

function Alert({ message, details }: { message: string; details: string[] }) {
  return (
    <div role="alert">
      <p>{message}</p>
      <ul>
        {details.map((detail) => (
          <li key={detail}>{detail}</li>
        ))}
      </ul>
    </div>
  );
}
