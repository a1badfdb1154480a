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

// A key as it stands in a path, and then in a URL.
function inPath(key) {
  const escaped = key.replace(/[,*%\p{Cc}]/gu, (c) =>
    Array.from(new TextEncoder().encode(c), (byte) => "%" + byte.toString(16).padStart(2, "0").toUpperCase()).join(""));
  return encodeURIComponent(escaped);
}

function branch(key) {
  const head = cell("th", "");
  const link = document.createElement("a");
  link.textContent = key;
  link.href = "/api/q/" + inPath(key) + ".json";
  head.append(link);
  return head;
}

async function ask(url) {
  const response = await fetch(url, { headers: { Accept: "application/json" } });
  const answer = await response.json();
  if (!response.ok) throw new Error(answer.error || response.statusText);
  return { answer, tick: response.headers.get("X-Tick") };
}

async function show() {
  const [tree, modules] = await Promise.all([ask("/get/?key-&depth=1"), ask("/modules")]);
  const root = tree.answer[0][""] || {};
  const branches = Object.keys(root).filter((key) => key !== "").sort();
  rows(document.getElementById("branches"), branches.map((key) => [branch(key), cell("td", figure(root[key]), "number")]));
  rows(document.getElementById("list"), modules.answer.map((module) =>
    [cell("th", module.name), cell("td", module.kind), cell("td", module.state, module.state), cell("td", module.why)]));
  const now = new Date().toLocaleTimeString();
  state.textContent = branches.length === 0 ? "The tree is empty." : "As of " + now + ".";
  return tree.tick;
}

async function follow() {
  for (;;) {
    try {
      let tick = await show();
      for (;;) {
        // Any change will do: what is shown is read anew.
        const pulled = await ask("/pull/?key-&limit=1&wait=30s&since=" + tick);
        tick = pulled.answer.length > 0 ? await show() : pulled.tick;
      }
    } catch (error) {
      state.textContent = "The daemon does not answer: " + error.message;
      await new Promise((again) => setTimeout(again, WAIT_AFTER_ERROR_MS));
    }
  }
}

follow();
