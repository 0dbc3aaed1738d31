import { useSignal } from "@preact/signals";
import type { Analysis } from "../analysis";
import type { Service } from "../api/service";
import { Icon } from "./icons";
import { Problem } from "./notices";

/** Formats of timelines: the name that the service knows, the name people know, the ending of the file. */
const FORMATS = [
  ["json", "JSON", "json"],
  ["csv", "CSV", "csv"],
  ["srt", "SRT", "srt"],
  ["vtt", "WebVTT", "vtt"],
  ["textgrid", "Praat TextGrid", "TextGrid"],
  ["eaf", "ELAN document", "eaf"],
  ["audacity", "Audacity labels", "txt"],
  ["rttm", "RTTM", "rttm"],
  ["audformat", "audformat", "audformat.csv"],
] as const;

/** The timelines as files. */
export function Downloads({ service, analyses }: { service: Service; analyses: Analysis[] }) {
  const problem = useSignal<string | null>(null);
  const ready = analyses.filter(({ state }) => state.value.status === "done");
  if (!ready.length) return null;
  const download = async ({ sound, model, channel }: Analysis, format: string, ending: string) => {
    problem.value = null;
    try {
      const file = await service.timelineFile(sound, model, channel, format);
      save(file, `${sound.name.replace(/\.[^.]*$/, "")}.${model}.${ending}`);
    } catch (error) {
      problem.value = (error as Error).message;
    }
  };
  return (
    <section class="panel" aria-labelledby="downloads">
      <h3 id="downloads">Download the timeline</h3>
      {ready.map((analysis) => (
        <div key={analysis.model} class="downloads" role="group" aria-label={`Timeline of ${analysis.model}`}>
          {ready.length > 1 && <span class="note">{analysis.model}</span>}
          {FORMATS.filter(([format]) => service.formats.includes(format)).map(([format, name, ending]) => (
            <button key={format} type="button" onClick={() => void download(analysis, format, ending)}>
              <Icon name="download" />
              {name}
            </button>
          ))}
        </div>
      ))}
      {problem.value && <Problem text={problem.value} />}
    </section>
  );
}

function save(file: Blob, name: string): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(file);
  link.download = name;
  link.click();
  // Some browsers read the file only after the click has been handled.
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}
