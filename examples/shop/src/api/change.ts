import { useRef } from "react";
import { useMutation, type TypedDocumentNode } from "urql";

import type { RefusedFragment } from "../gql/graphql";

type Answer = { __typename: string };
type Success<A> = Exclude<A, { code: unknown }>;

/** How a change stands: not sent, sent, refused by the store, or failed on the way. */
export type Change<Input> = {
  send: (input: Input) => Promise<boolean>;
  isSending: boolean;
  refused: RefusedFragment | undefined;
  failure: string | undefined;
};

/**
 * A mutation with an idempotency key.
 *
 * The key belongs to what is sent: if it is sent once more, by a second click or because there was no
 * answer, the key is the same one. After a success, the same change is a new one.
 */
export function useChange<Data, Input, A extends Answer>(
  mutation: TypedDocumentNode<Data, { input: Input; key: string }>,
  answerOf: (data: Data) => A | null,
  onSuccess: (saved: Success<A>) => void = () => {},
): Change<Input> {
  const [{ data, error, fetching }, execute] = useMutation(mutation);
  const attempt = useRef({ of: "", key: "" });
  const answer = data ? answerOf(data) : null;
  return {
    isSending: fetching,
    refused: isRefused(answer) ? answer : undefined,
    failure: error?.message.replace(/^\[\w+\] /, ""),
    send: async (input) => {
      const of = JSON.stringify(input);
      if (attempt.current.of !== of) attempt.current = { of, key: crypto.randomUUID() };
      const result = await execute({ input, key: attempt.current.key });
      const sent = result.data ? answerOf(result.data) : null;
      if (!sent || isRefused(sent)) return false;
      attempt.current.of = "";
      onSuccess(sent as Success<A>);
      return true;
    },
  };
}

const isRefused = (answer: Answer | null): answer is RefusedFragment => answer !== null && "code" in answer;
