import { useSignal } from "@preact/signals";
import type { Analysis } from "../analysis";
import type { Service } from "../api/service";
import { Collapsible } from "./collapsible";
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

/** A timeline that can be had as a file. */
export interface TimelineSource {
  model: string;
  /** Name of the file without model and ending. */
  stem: string;
  /** Names of the formats that there are. */
  formats: readonly string[];
  file(format: string): Promise<Blob>;
}

/** The timelines of analyses that are done. */
export function timelinesOf(service: Service, analyses: Analysis[]): TimelineSource[] {
  return analyses
    .filter(({ state }) => state.value.status === "done")
    .map(({ sound, model, channel }) => ({
      model,
      stem: sound.name.replace(/\.[^.]*$/, ""),
      formats: service.formats,
      file: (format) => service.timelineFile(sound, model, channel, format),
    }));
}

/** The timelines as files. */
export function Downloads({ sources, title }: { sources: TimelineSource[]; title: string }) {
  const problem = useSignal<string | null>(null);
  if (!sources.length) return null;
  const download = async ({ model, stem, file }: TimelineSource, format: string, ending: string) => {
    problem.value = null;
    try {
      save(await file(format), `${stem}.${model}.${ending}`);
    } catch (error) {
      problem.value = (error as Error).message;
    }
  };
  return (
    <Collapsible title={title}>
      {sources.map((source) => (
        <div key={source.model} class="downloads" role="group" aria-label={`Timeline of ${source.model}`}>
          {sources.length > 1 && <span class="note">{source.model}</span>}
          {FORMATS.filter(([format]) => source.formats.includes(format)).map(([format, name, ending]) => (
            <button key={format} type="button" onClick={() => void download(source, format, ending)}>
              <Icon name="download" />
              {name}
            </button>
          ))}
        </div>
      ))}
      {problem.value && <Problem text={problem.value} />}
    </Collapsible>
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
