// What the daemon says of itself in the page that it serves.

const root = document.documentElement;

/** The host's name, and how long a tick is (ms). */
export const daemon = {
  host: root.dataset["host"] ?? "",
  tick: Number(root.dataset["tick"] ?? 1000) || 1000,
  /** Whether it asks for a token: what is shown to be typed into a shell needs one. */
  token: root.dataset["token"] === "1",
};
