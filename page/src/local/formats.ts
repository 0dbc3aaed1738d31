/** Timelines as files; the same text as `serkit.recognition.timeline_formats` and `annotation_formats`. */
import type { Segment, Timeline } from "../api/types";
import { round } from "./rounding";

export const FORMATS: Record<string, (timeline: Timeline) => string> = {
  json: ({ model: _, ...timeline }) => `${JSON.stringify(timeline, null, 1)}\n`,
  csv,
  srt: ({ segments }) =>
    segments
      .map((one, index) => `${index + 1}\n${clock(one.start, ",")} --> ${clock(one.end, ",")}\n${caption(one)}\n\n`)
      .join(""),
  vtt: ({ segments }) =>
    "WEBVTT\n\n" +
    segments.map((one) => `${clock(one.start)} --> ${clock(one.end)}\n${escaped(caption(one))}\n\n`).join(""),
  textgrid,
  audacity: ({ segments }) =>
    segments
      .map((one) => `${one.start.toFixed(6)}\t${one.end.toFixed(6)}\t${one.label}${one.sure ? "" : "?"}\n`)
      .join(""),
  rttm,
  audformat,
};

function csv({ file, labels, segments }: Timeline): string {
  const names = labels.map((label) => `p_${label}`);
  const rows = segments.map(({ start, end, label, sure, doubt, confidence, probabilities }) => [
    ...[file, decimal(start), decimal(end), label, String(sure), doubt, decimal(confidence)],
    ...labels.map((one) => decimal(probabilities[one]!)),
    "",
  ]);
  const head = ["file", "start", "end", "label", "sure", "doubt", "confidence", ...names, "error"];
  return [head, ...rows].map((row) => `${row.map(quoted).join(",")}\n`).join("");
}

/** A number as Python writes it. */
function decimal(value: number): string {
  return Number.isInteger(value)
    ? value.toFixed(1)
    : value < 1e-4
      ? value.toExponential().replace("e-", "e-0")
      : `${value}`;
}

function quoted(field: string): string {
  return /[",\r\n]/.test(field) ? `"${field.replaceAll('"', '""')}"` : field;
}

function audformat({ file, segments }: Timeline): string {
  const rows = segments.map(({ start, end, label, doubt, confidence }) => {
    const times = [start, end].map((time) => `0 days ${clock(time)}`);
    return `${[file, ...times, label, confidence.toFixed(6), doubt].map(quoted).join(",")}\n`;
  });
  return `file,start,end,emotion,confidence,doubt\n${rows.join("")}`;
}

function rttm({ file, segments }: Timeline): string {
  const name =
    file
      .replace(/(?<=.)\.[^.]*$/, "")
      .trim()
      .replace(/\s+/g, "_") || "<NA>";
  return segments
    .map(({ start, end, label, confidence }) => {
      const length = (end - start).toFixed(3);
      return `SPEAKER ${name} 1 ${start.toFixed(3)} ${length} <NA> <NA> ${label} ${confidence.toFixed(3)} <NA>\n`;
    })
    .join("");
}

function textgrid(timeline: Timeline): string {
  const end = timeline.duration.toFixed(3);
  const intervals = filled(timeline, end);
  const lines = ['File type = "ooTextFile"', 'Object class = "TextGrid"', "", "xmin = 0", `xmax = ${end}`];
  lines.push("tiers? <exists>", "size = 2", "item []:");
  for (const [number, tier] of ["emotion", "confidence"].entries()) {
    lines.push(`    item [${number + 1}]:`, '        class = "IntervalTier"', `        name = "${tier}"`);
    lines.push("        xmin = 0", `        xmax = ${end}`, `        intervals: size = ${intervals.length}`);
    for (const [place, [start, stop, segment]] of intervals.entries()) {
      const text = segment ? (tier === "emotion" ? segment.label : segment.confidence.toFixed(3)) : "";
      lines.push(`        intervals [${place + 1}]:`, `            xmin = ${start}`, `            xmax = ${stop}`);
      lines.push(`            text = "${text.replaceAll('"', '""')}"`);
    }
  }
  return `${lines.join("\n")}\n`;
}

/** Start, end and segment of contiguous intervals; no segment without speech. */
function filled({ segments }: Timeline, end: string): [string, string, Segment | null][] {
  const intervals: [string, string, Segment | null][] = [];
  let at = "0.000";
  for (const segment of segments) {
    const [start, stop] = [segment.start.toFixed(3), segment.end.toFixed(3)];
    if (start !== at) intervals.push([at, start, null]);
    intervals.push([start, stop, segment]);
    at = stop;
  }
  if (at !== end) intervals.push([at, end, null]);
  return intervals;
}

function caption({ label, sure, doubt, confidence }: Segment): string {
  // Doubts about the confidence itself add nothing to it.
  const reason = doubt && doubt !== "low confidence" ? `, ${doubt}` : "";
  return `${label}${sure ? "" : "?"} ${round(100 * confidence)}%${reason}`;
}

function escaped(text: string): string {
  return text.replaceAll("&", "&amp;").replaceAll("<", "&lt;").replaceAll(">", "&gt;");
}

/** `HH:MM:SS.mmm` */
function clock(seconds: number, point = "."): string {
  const all = round(1000 * seconds);
  const parts = [Math.floor(all / 3_600_000), Math.floor(all / 60_000) % 60, Math.floor(all / 1000) % 60];
  return `${parts.map((part) => String(part).padStart(2, "0")).join(":")}${point}${String(all % 1000).padStart(3, "0")}`;
}
