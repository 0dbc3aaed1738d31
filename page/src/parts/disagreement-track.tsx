import type { ReadonlySignal } from "@preact/signals";
import { spoken } from "../time/clock";
import { overlaps } from "../time/lookup";
import type { Range } from "../time/range";
import { extent } from "./segment-track";
import type { Voice } from "./tracks";

interface Props {
  voices: [Voice, Voice];
  range: ReadonlySignal<Range>;
}

/** Where two timelines differ (hatched) and where they agree (plain); nothing where only one found speech. */
export function DisagreementTrack({ voices: [first, second], range }: Props) {
  const { start, end } = range.value;
  const both = overlaps(first.segments, second.segments);
  const told = both.filter(differs).map((one) => inWords(one, first.name, second.name));
  return (
    <div class="disagreement" role="img" aria-label={told.length ? `They differ: ${told.join("; ")}` : "They agree"}>
      {both
        .filter((one) => one.end > start && one.start < end)
        .map((one) => (
          <div
            key={`${one.channel} ${one.start}`}
            class={differs(one) ? "differ" : ""}
            style={extent(one.start, one.end, range.value)}
            title={inWords(one, first.name, second.name)}
          />
        ))}
    </div>
  );
}

type Overlap = ReturnType<typeof overlaps>[number];

function differs({ labels: [ours, theirs] }: Overlap): boolean {
  return ours !== theirs;
}

function inWords({ labels: [ours, theirs], start, end }: Overlap, first: string, second: string): string {
  return `${spoken(start)} to ${spoken(end)}: ${first} ${ours}, ${second} ${theirs}`;
}
