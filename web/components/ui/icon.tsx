/** Our own few line icons, drawn on a 24 grid. They never stand alone: words are beside them. */

const PATHS = {
  alert: "M12 4 2.8 19.5h18.4L12 4Zm0 6v4.5m0 2.5v.01",
  bolt: "M13 3 5 13.5h6L10.5 21 19 10h-6.5L13 3Z",
  check: "m5 12.5 4.5 4.5L19 7.5",
  checkCircle: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm-4 9.2 2.8 2.8L16 9.5",
  chevron: "m9 6 6 6-6 6",
  clock: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 4.5V12l3 2",
  compose: "M4 20h4L19 9l-4-4L4 16v4Zm9-13 4 4",
  copy: "M9 9h11v11H9V9Zm-5 6V4h11",
  dot: "M12 9a3 3 0 1 0 0 6 3 3 0 0 0 0-6Z",
  download: "M12 4v11m-4.5-4.5L12 15l4.5-4.5M5 20h14",
  file: "M6 3h8l4 4v14H6V3Zm8 0v4h4",
  flask: "M9 3h6m-5 0v6L5 19a1.5 1.5 0 0 0 1.3 2h11.4a1.5 1.5 0 0 0 1.3-2L14 9V3M7.5 15h9",
  folder: "M3 6h6l2 2.5h10V19H3V6Z",
  gear: "M12 8.5a3.5 3.5 0 1 0 0 7 3.5 3.5 0 0 0 0-7ZM12 2.5v3m0 13v3M2.5 12h3m13 0h3M5.3 5.3l2.1 2.1m9.2 9.2 2.1 2.1m0-13.4-2.1 2.1m-9.2 9.2-2.1 2.1",
  git: "M6 4v10m0 0a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Zm12-9a2.5 2.5 0 1 0 0 5 2.5 2.5 0 0 0 0-5Zm0 5c0 5-6 4-10.5 5.5",
  help: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm-2.5 6.8a2.5 2.5 0 1 1 3.6 2.2c-.8.4-1.1.9-1.1 1.8m0 3v.01",
  info: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm0 8v5m0-8v.01",
  key: "M8 10.5a4 4 0 1 0 0 .01ZM11 12.5h10m-3 0v4m-4-4v3",
  list: "M4 6h.01M8 6h12M4 12h.01M8 12h12M4 18h.01M8 18h12",
  monitor: "M3 5h18v11H3V5Zm6 15h6m-3-4v4",
  moon: "M20 14.5A8.5 8.5 0 0 1 9.5 4a8.5 8.5 0 1 0 10.5 10.5Z",
  pause: "M8 5v14M16 5v14",
  pencil: "M4 20h4L19 9l-4-4L4 16v4Z",
  plan: "M5 5h6v5H5V5Zm8 9h6v5h-6v-5ZM8 10v6.5h5",
  plus: "M12 5v14M5 12h14",
  retry: "M19 5v5h-5m4.6-.4A7.5 7.5 0 1 0 19.5 13",
  search: "M10.5 4a6.5 6.5 0 1 0 0 13 6.5 6.5 0 0 0 0-13Zm5 11.5L20 20",
  shield: "M12 3 4.5 6v5.5c0 4.5 3 8 7.5 9.5 4.5-1.5 7.5-5 7.5-9.5V6L12 3Zm-3.3 9 2.4 2.4 4.3-4.6",
  signOut: "M10 4H5v16h5m5-12 4 4-4 4m4-4H9",
  spinner: "M12 3a9 9 0 1 0 9 9",
  stop: "M6 6h12v12H6V6Z",
  sun: "M12 8a4 4 0 1 0 0 8 4 4 0 0 0 0-8Zm0-5.5v2m0 15v2M2.5 12h2m15 0h2M5.3 5.3l1.4 1.4m10.6 10.6 1.4 1.4m0-13.4-1.4 1.4M6.7 17.3l-1.4 1.4",
  terminal: "M3 5h18v14H3V5Zm4 4 3 3-3 3m6 0h4",
  tree: "M5 4v14h5M5 10h5m3-2h7v4h-7V8Zm0 8h7v4h-7v-4Z",
  x: "M6 6l12 12M18 6 6 18",
  xCircle: "M12 3a9 9 0 1 0 0 18 9 9 0 0 0 0-18Zm-3.2 5.8 6.4 6.4m0-6.4-6.4 6.4",
} as const;

export type IconName = keyof typeof PATHS;

export function Icon({ name, className = "" }: { name: IconName; className?: string }) {
  return (
    <svg
      aria-hidden="true"
      viewBox="0 0 24 24"
      fill="none"
      stroke="currentColor"
      strokeWidth="1.9"
      strokeLinecap="round"
      strokeLinejoin="round"
      className={`size-[1.1em] shrink-0 ${name === "spinner" ? "animate-spin" : ""} ${className}`}
    >
      <path d={PATHS[name]} />
    </svg>
  );
}
