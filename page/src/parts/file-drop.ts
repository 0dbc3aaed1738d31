import type { ReadonlySignal } from "@preact/signals";
import { useSignal } from "@preact/signals";
import { useEffect } from "preact/hooks";
import type { Workspace } from "../workspace";

/** Opens a file dropped anywhere on the page. @returns whether one is being held over it */
export function useFileDrop(workspace: Workspace): ReadonlySignal<boolean> {
  const held = useSignal(false);
  useEffect(() => {
    const over = (event: DragEvent) => {
      if (!event.dataTransfer?.types.includes("Files")) return;
      event.preventDefault();
      held.value = true;
    };
    const leave = (event: DragEvent) => {
      if (event.relatedTarget === null) held.value = false;
    };
    const drop = (event: DragEvent) => {
      event.preventDefault();
      held.value = false;
      const file = event.dataTransfer?.files[0];
      if (file) void workspace.openFile(file);
    };
    const listeners = { dragover: over, dragleave: leave, drop };
    Object.entries(listeners).forEach(([name, listener]) => addEventListener(name, listener as EventListener));
    return () =>
      Object.entries(listeners).forEach(([name, listener]) => removeEventListener(name, listener as EventListener));
  }, [workspace]);
  return held;
}
