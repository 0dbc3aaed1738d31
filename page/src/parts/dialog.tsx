import type { ComponentChildren } from "preact";
import { useEffect, useRef } from "preact/hooks";
import { Icon } from "./icons";

/** A modal dialog; the browser keeps the focus inside, and gives it back. Escape closes it. */
export function Dialog({
  title,
  open,
  onClose,
  children,
}: {
  title: string;
  open: boolean;
  onClose: () => void;
  children: ComponentChildren;
}) {
  const reference = useRef<HTMLDialogElement>(null);
  const closedByPage = useRef(false);
  useEffect(() => {
    const dialog = reference.current!;
    if (open && !dialog.open) dialog.showModal();
    else if (!open && dialog.open) {
      closedByPage.current = true;
      dialog.close();
    }
  }, [open]);
  // The event comes a moment after the dialog was closed, when it may be open again for the next question.
  const closed = () => {
    if (!closedByPage.current) onClose();
    closedByPage.current = false;
  };
  return (
    <dialog ref={reference} aria-label={title} onClose={closed}>
      <div class="dialog-head">
        <h2>{title}</h2>
        <button type="button" class="quiet square" aria-label="Close" onClick={onClose}>
          <Icon name="close" />
        </button>
      </div>
      {open && children}
    </dialog>
  );
}
