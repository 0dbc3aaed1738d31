/** Drawn on a grid of 20; always beside a text or on a button with a label, so hidden from screen readers. */
const PATHS = {
  play: "M6.5 4.2v11.6L15.5 10z",
  pause: "M6 4.5v11M14 4.5v11",
  stop: "M5.5 5.5h9v9h-9z",
  microphone:
    "M10 12.5a2.5 2.5 0 0 0 2.5-2.5V5.5a2.5 2.5 0 0 0-5 0V10a2.5 2.5 0 0 0 2.5 2.5zM5 10a5 5 0 0 0 10 0M10 15v2.5",
  record: "M10 5.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9z",
  live: "M3 10h2l2-5 3 10 3-8 1.5 3H17",
  file: "M11.5 3H6a1 1 0 0 0-1 1v12a1 1 0 0 0 1 1h8a1 1 0 0 0 1-1V6.5zM11.5 3v3.5H15",
  download: "M10 4v8M6.5 9l3.5 3.5L13.5 9M4.5 16h11",
  closer: "M9 4.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM12.5 12.5L16 16M9 7v4M7 9h4",
  further: "M9 4.5a4.5 4.5 0 1 0 0 9 4.5 4.5 0 0 0 0-9zM12.5 12.5L16 16M7 9h4",
  whole: "M3.5 5v10M16.5 5v10M6.5 10h7M8 8l-2 2 2 2M12 8l2 2-2 2",
  sun: "M10 7a3 3 0 1 0 0 6 3 3 0 0 0 0-6zM10 2.5v1.5M10 16v1.5M2.5 10H4M16 10h1.5M4.7 4.7l1 1M14.3 14.3l1 1M15.3 4.7l-1 1M5.7 14.3l-1 1",
  moon: "M15.5 11.8A6 6 0 0 1 8.2 4.5a6 6 0 1 0 7.3 7.3z",
  close: "M5.5 5.5l9 9M14.5 5.5l-9 9",
  warning: "M10 4l7 12.5H3zM10 9v3.5M10 14.600v.1",
};

export function Icon({ name }: { name: keyof typeof PATHS }) {
  const filled = name === "play" || name === "stop" || name === "record";
  return (
    <svg class="icon" viewBox="0 0 20 20" aria-hidden="true" fill={filled ? "currentColor" : "none"}>
      <path d={PATHS[name]} />
    </svg>
  );
}
