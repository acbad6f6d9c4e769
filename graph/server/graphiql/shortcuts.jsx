import { useGraphiQLActions } from "@graphiql/react";
import { useEffect } from "react";

/** Ctrl-Enter runs the operation wherever the focus is; in the editors it does so by itself. */
export function Shortcuts() {
  const { run } = useGraphiQLActions();

  useEffect(() => {
    function runOnEnter(event) {
      const isEditing = event.target.closest?.(".monaco-editor");
      if (event.key === "Enter" && (event.ctrlKey || event.metaKey) && !isEditing && !event.defaultPrevented) {
        event.preventDefault();
        run();
      }
    }
    window.addEventListener("keydown", runOnEnter);
    return () => window.removeEventListener("keydown", runOnEnter);
  }, [run]);

  return null;
}
