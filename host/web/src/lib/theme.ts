// Light or dark: as the system has it until somebody says otherwise.

export type Theme = "light" | "dark";

const KEPT_AS = "graftd-theme";
const changes = new EventTarget();
/** What was chosen in this page, where the browser keeps nothing. */
let here: Theme | null = null;

/** What was chosen in this browser; null where nothing was, or where it keeps nothing. */
export function chosen(): Theme | null {
  try {
    const kept = localStorage.getItem(KEPT_AS);
    return kept === "light" || kept === "dark" ? kept : null;
  } catch {
    return here;
  }
}

/** Has the page look so. */
export function apply(theme: Theme | null): void {
  if (theme === null) delete document.documentElement.dataset["theme"];
  else document.documentElement.dataset["theme"] = theme;
}

/** What is seen now. */
export function current(): Theme {
  return chosen() ?? (matchMedia("(prefers-color-scheme: dark)").matches ? "dark" : "light");
}

/** Switches to the other one, for this page and those that come. */
export function toggle(): void {
  const next = current() === "dark" ? "light" : "dark";
  here = next;
  try {
    localStorage.setItem(KEPT_AS, next);
  } catch {
    // Nothing is kept: it holds for this page.
  }
  apply(next);
  changes.dispatchEvent(new Event("change"));
}

/** Calls back whenever colours change, by the switch, in another tab, or by the system; returns how to stop. */
export function onThemeChange(changed: () => void): () => void {
  const system = matchMedia("(prefers-color-scheme: dark)");
  const elsewhere = (event: StorageEvent) => {
    if (event.key !== KEPT_AS) return;
    apply(chosen());
    changed();
  };
  changes.addEventListener("change", changed);
  system.addEventListener("change", changed);
  addEventListener("storage", elsewhere);
  return () => {
    changes.removeEventListener("change", changed);
    system.removeEventListener("change", changed);
    removeEventListener("storage", elsewhere);
  };
}

/** A colour of the theme, as style.css names it: `token("--ink")`. For what is painted on a canvas. */
export function token(name: string): string {
  return getComputedStyle(document.documentElement).getPropertyValue(name).trim();
}

/** Colours that series have, told apart by colour-blind people (after Okabe and Ito), 3:1 on either paper. */
export const SERIES = ["--s1", "--s2", "--s3", "--s4", "--s5", "--s6", "--s7", "--s8"] as const;

/** The colour of the n-th series. */
export function seriesColour(n: number): string {
  return token(SERIES[n % SERIES.length] ?? "--s1");
}
