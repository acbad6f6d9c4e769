import { useNetwork } from "../api/network";

/** Says that the network is lost and what that means; a live region, so it is read out too. */
export function NetworkBanner() {
  const { isOnline, waiting } = useNetwork();
  const problem = !isOnline ? "You are offline." : waiting ? "The shop cannot be reached." : "";
  const promise = waiting
    ? "What you sent is kept, and sent again until it is answered. Nothing is done twice."
    : "You can go on reading; what you see may be old.";
  return (
    <div role="status" className="network">
      {problem && (
        <p>
          <strong>{problem}</strong> {promise}
        </p>
      )}
    </div>
  );
}
