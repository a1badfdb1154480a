// The first page: begins with /get/, and is kept up to date by /pull/. Keys are text, never markup.
"use strict";

const WAIT_AFTER_ERROR_MS = 2000;
const state = document.getElementById("state");

function cell(name, text, kind) {
  const element = document.createElement(name);
  element.textContent = text;
  if (name === "th") element.scope = "row";
  if (kind) element.className = kind;
  return element;
}

function rows(body, lines) {
  body.replaceChildren(...lines.map((cells) => {
    const row = document.createElement("tr");
    row.append(...cells);
    return row;
  }));
}

function figure(value) {
  if (typeof value === "number") return value.toLocaleString("en", { maximumFractionDigits: 3 });
  if (value === null) return "–";
  if (typeof value !== "object") return String(value);
  const own = value[""];
  if (own === undefined) return "…";
  if (typeof own !== "object") return figure(own);
  if ("distinct" in own) return figure(own.distinct) + " different";
  return "p50 " + figure(own.p50) + ", p99 " + figure(own.p99);
}

// A key as it stands in a path.
function inPath(key) {
  return key.replace(/[,*%\p{Cc}]/gu, (c) =>
    Array.from(new TextEncoder().encode(c), (byte) => "%" + byte.toString(16).padStart(2, "0").toUpperCase()).join(""));
}

function outOfPath(key) {
  try { return decodeURIComponent(key); } catch { return key; }
}

// The node that is shown: the path behind the # of this page's address.
function here() {
  return outOfPath(location.hash.slice(1));
}

function link(text, target) {
  const element = document.createElement("a");
  element.textContent = text;
  element.href = target;
  return element;
}

function at(path) {
  return "#" + encodeURIComponent(path);
}

// What is told of a value beside it, as a browser shows it above the row.
function told(meta) {
  return [meta.title, meta.description].flat().filter(Boolean).join(": ");
}

function value(of, meta) {
  const element = cell("td", figure(of), "number");
  const units = [meta.units].flat().filter(Boolean).join(" ");
  if (units && of !== null) {
    const beside = document.createElement("span");
    beside.className = "units";
    beside.textContent = " " + units;
    element.append(beside);
  }
  return element;
}

// A row: a key with its value, and what is told of it. An own value has no key to follow.
function line(key, path, of, meta) {
  const head = cell("th", "");
  head.append(key === "" ? "(its own value)" : link(key, at(path)));
  const cells = [head, value(of, meta)];
  const words = told(meta);
  if (words) cells.forEach((element) => { element.title = words; });
  return cells;
}

// The way from the root to the node that is shown.
function way(path) {
  const keys = path === "" ? [] : path.split(",");
  const steps = keys.map((key, i) => link(outOfPath(key), at(keys.slice(0, i + 1).join(","))));
  const all = [link("All branches", at("")), ...steps, link("JSON", "/api/q/" + encodeURIComponent(path) + ".json?meta=1")];
  document.getElementById("way").replaceChildren(...all.flatMap((step, i) => i === 0 ? [step] : [" › ", step]));
}

async function ask(url, signal) {
  const response = await fetch(url, { headers: { Accept: "application/json" }, signal });
  // The session is over: this page asks for the token.
  if (response.status === 401) location.reload();
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return { answer, tick: response.headers.get("X-Tick") };
}

async function show(path) {
  const [tree, modules] = await Promise.all([
    ask("/get/?key-" + encodeURIComponent(path) + "&depth=1&meta=1"), ask("/modules")]);
  const { meta, ...found } = tree.answer[0];
  const [node] = Object.values(found);
  const there = node !== null && node !== undefined;
  const members = there && typeof node === "object" ? node : there ? { "": node } : {};
  const below = (key) => [path, inPath(key)].filter(Boolean).join(",");
  const of = (key) => (key === "" ? path : below(key));
  const keys = Object.keys(members).sort();
  way(path);
  rows(document.getElementById("branches"), keys.map((key) =>
    line(key, of(key), key === "" ? { "": members[key] } : members[key], meta[of(key)] || {})));
  rows(document.getElementById("list"), modules.answer.map((module) =>
    [cell("th", module.name), cell("td", module.kind), cell("td", module.state, module.state), cell("td", module.why)]));
  const now = new Date().toLocaleTimeString();
  state.textContent = keys.length > 0 ? "As of " + now + "." : path === "" ? "The tree is empty." : "There is nothing here (any more).";
  return tree.tick;
}

// Ends the wait for a change when another node is to be shown.
let moved = new AbortController();
addEventListener("hashchange", () => moved.abort());

async function follow() {
  for (;;) {
    moved = new AbortController();
    const { signal } = moved;
    try {
      const path = here();
      let tick = await show(path);
      while (!signal.aborted) {
        // Any change will do: what is shown is read anew.
        const pulled = await ask("/pull/?key-" + encodeURIComponent(path) + "&limit=1&wait=30s&since=" + tick, signal);
        tick = pulled.answer.length > 0 ? await show(path) : pulled.tick;
      }
    } catch (error) {
      if (signal.aborted) continue;
      state.textContent = "The daemon does not answer: " + error.message;
      await new Promise((again) => setTimeout(again, WAIT_AFTER_ERROR_MS));
    }
  }
}

follow();
