import type { ComponentChildren } from "preact";
import { useState } from "preact/hooks";

/** A panel that is open where there is room for it, and closed on a phone until its title is touched. */
export function Collapsible({ title, label = title, children }: Props) {
  const [open] = useState(() => !matchMedia("(max-width: 600px)").matches);
  return (
    <section class="panel" aria-label={label}>
      <details open={open}>
        <summary>
          <h3>{title}</h3>
        </summary>
        {children}
      </details>
    </section>
  );
}

interface Props {
  title: string;
  /** Name for those who do not see it, where the title alone does not say which. */
  label?: string;
  children: ComponentChildren;
}
