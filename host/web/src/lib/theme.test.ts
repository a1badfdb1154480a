import assert from "node:assert/strict";
import { readFileSync } from "node:fs";
import { test } from "node:test";
import { SERIES } from "./theme.ts";

const css = readFileSync("src/style.css", "utf8");
/** The themes as the style has them; what follows the system and what was chosen are the same. */
const themes = [...css.matchAll(/color-scheme: (light|dark);([^}]*)/g)].map(([, name, text]) => {
  const of = (token: string) => new RegExp(`${token}: (#[0-9a-f]{6})`).exec(text ?? "")?.[1] ?? "";
  return { name, papers: ["--paper", "--raised"].map(of), series: SERIES.map(of) };
});

type Triple = [number, number, number];
const linear = (hex: string): Triple => [1, 3, 5].map((at) => {
  const part = parseInt(hex.slice(at, at + 2), 16) / 255;
  return part <= 0.04045 ? part / 12.92 : ((part + 0.055) / 1.055) ** 2.4;
}) as Triple;
const times = (rows: Triple[], [x, y, z]: Triple) => rows.map(([a, b, c]) => a * x + b * y + c * z) as Triple;
const light = (hex: string) => { const [r, g, b] = linear(hex); return 0.2126 * r + 0.7152 * g + 0.0722 * b; };
const contrast = (a: string, b: string) => { const [hi = 0, lo = 0] = [light(a), light(b)].sort((x, y) => y - x); return (hi + 0.05) / (lo + 0.05); };
/** L*a*b* of light as an eye takes it. */
const lab = (rgb: Triple): Triple => {
  const [x, y, z] = times([[0.4124, 0.3576, 0.1805], [0.2126, 0.7152, 0.0722], [0.0193, 0.1192, 0.9505]], rgb);
  const f = (t: number) => (t > 216 / 24389 ? Math.cbrt(t) : (t * 24389 / 27 + 16) / 116);
  const [a, b, c] = [f(x / 0.9505), f(y), f(z / 1.089)];
  return [116 * b - 16, 500 * (a - b), 200 * (b - c)];
};
/** How eyes see that lack red or green cones (Machado 2009). */
const EYES: { [name: string]: Triple[] } = {
  all: [[1, 0, 0], [0, 1, 0], [0, 0, 1]],
  protan: [[0.152286, 1.052583, -0.204868], [0.114503, 0.786281, 0.099216], [-0.003882, -0.048116, 1.051998]],
  deutan: [[0.367322, 0.860646, -0.227968], [0.280085, 0.672501, 0.047413], [-0.01182, 0.04294, 0.968881]],
};
const apart = (a: string, b: string, eyes: Triple[]) => Math.hypot(...lab(times(eyes, linear(a))).map((part, i) => part - (lab(times(eyes, linear(b)))[i] ?? 0)));

test("each colour of a series stands out from the paper", () => {
  assert.equal(themes.length, 3);
  for (const { name, papers, series } of themes) {
    for (const colour of series) for (const paper of papers) assert.ok(contrast(colour, paper) >= 3, `${name}: ${colour} on ${paper}: ${contrast(colour, paper)}`);
  }
});

test("colours of series are told apart", () => {
  for (const { name, series } of themes) {
    for (const [i, a] of series.entries()) {
      for (const b of series.slice(i + 1)) {
        for (const [eyes, rows] of Object.entries(EYES)) {
          const least = eyes === "all" ? 25 : 6;
          assert.ok(apart(a, b, rows) >= least, `${name}: ${a} and ${b} are ${apart(a, b, rows).toFixed(1)} apart to ${eyes}`);
        }
      }
    }
  }
});
