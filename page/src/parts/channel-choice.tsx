import type { OpenSound } from "../open-sound";

export function ChannelChoice({ open }: { open: OpenSound }) {
  return (
    <div class="field">
      <label for="channel">Channel</label>
      <select
        id="channel"
        value={open.channel.value ?? ""}
        onChange={({ currentTarget: { value } }) =>
          (open.channel.value = value === "" ? null : value === "each" ? value : Number(value))
        }
      >
        <option value="">as the model was made for</option>
        {Array.from({ length: open.channels }, (_, index) => (
          <option key={index} value={index}>
            {index + 1} of {open.channels}
          </option>
        ))}
        <option value="each">each separately</option>
      </select>
    </div>
  );
}
