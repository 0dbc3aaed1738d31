import { micromark } from "micromark";
import { gfmTable, gfmTableHtml } from "micromark-extension-gfm-table";
import { useMemo } from "preact/hooks";
import type { Model } from "../api/types";

/** A model's card. micromark escapes HTML and drops dangerous links, so a stranger's bundle can do no harm. */
export function ModelCard({ model }: { model: Model }) {
  const html = useMemo(
    () => micromark(model.card, { extensions: [gfmTable()], htmlExtensions: [gfmTableHtml()] }),
    [model],
  );
  return (
    <article
      class="card-text"
      aria-label={`Card of ${model.name}`}
      tabIndex={0} // wide tables scroll sideways
      dangerouslySetInnerHTML={{ __html: html }}
    />
  );
}
