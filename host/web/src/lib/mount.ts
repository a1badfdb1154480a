// Puts a page into its frame, which the daemon served: header, navigation and the place for what the page says.

import { type ComponentChild, render } from "preact";
import { current, onThemeChange, toggle } from "./theme.ts";

/** Draws a page in the middle of its frame, in place of the word that it is loading. */
export function mount(page: ComponentChild): void {
  const main = document.getElementById("main");
  if (!main) return;
  main.replaceChildren();
  render(page, main);
  const theme = document.getElementById("theme");
  if (!theme) return;
  const label = () => {
    const next = current() === "dark" ? "light" : "dark";
    theme.setAttribute("aria-label", `Switch to ${next} colours`);
    theme.setAttribute("title", `Switch to ${next} colours`);
  };
  label();
  theme.hidden = false;
  theme.addEventListener("click", toggle);
  onThemeChange(label);
}
