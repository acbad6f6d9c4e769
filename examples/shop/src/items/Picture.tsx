import type { CSSProperties } from "react";

/** In place of a photograph, which the store does not have. */
export function Picture({ name }: { name: string }) {
  const hue = [...name].reduce((sum, letter) => sum + letter.codePointAt(0)!, 0) % 360;
  return <div className="picture" aria-hidden style={{ "--hue": hue } as CSSProperties} />;
}
