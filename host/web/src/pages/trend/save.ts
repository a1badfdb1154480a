// What is on screen as a file: a table, and a picture.

import { between } from "../../lib/format.ts";
import { token } from "../../lib/theme.ts";
import { type Stretch, placeOf } from "./data.ts";

/** A field of a table. What a spreadsheet would take for a formula is marked as the text that it is. */
function field(text: string): string {
  const plain = /^[=+\-@\t\r]/.test(text) ? `'${text}` : text;
  return `"${plain.replaceAll('"', '""')}"`;
}

/** The lines between two times as CSV: seconds, the same as a date, and a column a line; what happened below. */
export function csvOf(stretch: Stretch, from: number, to: number): string {
  const { times, lines, happened } = stretch;
  const names = lines.map(({ path, figure, beside, label }) => field(beside ? label : figure === "" ? path : `${path} ${figure}`));
  const rows: string[] = [];
  if (lines.length > 0) rows.push(["time", "date", ...names].join(","));
  for (let i = placeOf(times, from); i < times.length; i += 1) {
    const time = times[i] ?? 0;
    if (time > to) break;
    rows.push([time, new Date(time * 1000).toISOString(), ...lines.map(({ values }) => values[i] ?? "")].join(","));
  }
  for (const { path, events } of happened) {
    rows.push(["time", "date", field(path)].join(","));
    events.forEach(([time, text], i) => {
      const next = events[i + 1]?.[0] ?? Infinity;
      if (time > to || next <= from) return;
      rows.push([time, new Date(time * 1000).toISOString(), text === null ? "" : field(text)].join(","));
    });
  }
  return `${rows.join("\r\n")}\r\n`;
}

/** Hands a file to whoever looks. */
export function hand(name: string, blob: Blob): void {
  const link = document.createElement("a");
  link.href = URL.createObjectURL(blob);
  link.download = name;
  link.click();
  setTimeout(() => URL.revokeObjectURL(link.href), 10_000);
}

/** A name for a file, of what a chart is called: letters and digits of any script. */
export function fileName(title: string, ending: string): string {
  const name = Array.from(title.replace(/[^\p{L}\p{N}]+/gu, "-").replace(/^-|-$/g, "")).slice(0, 60).join("");
  return `${name || "trend"}.${ending}`;
}

export interface Named { label: string; colour: string; dashed: boolean }

/** A chart's canvas with its title, what is shown when, and what its colours mean. */
export async function pngOf(canvas: HTMLCanvasElement, title: string, range: [number, number], names: readonly Named[]): Promise<Blob> {
  const scale = devicePixelRatio || 1;
  const width = canvas.width / scale;
  const font = (size: number, weight = 400) => `${weight} ${size}px system-ui, "DejaVu Sans", sans-serif`;
  const made = document.createElement("canvas");
  const ctx = made.getContext("2d");
  if (!ctx) throw new Error("This browser draws no pictures.");
  ctx.font = font(12);
  // Names in lines, as many as fit into each.
  const rows: Array<Array<{ one: Named; x: number }>> = [[]];
  let x = 12;
  for (const one of names.slice(0, 24)) {
    const wide = Math.min(ctx.measureText(one.label).width, width - 50) + 40;
    if (x + wide > width && rows.at(-1)?.length) {
      rows.push([]);
      x = 12;
    }
    rows.at(-1)?.push({ one, x });
    x += wide;
  }
  const top = 44;
  const height = top + canvas.height / scale + rows.length * 18 + 12;
  made.width = canvas.width;
  made.height = Math.round(height * scale);
  ctx.scale(scale, scale);
  ctx.fillStyle = token("--paper");
  ctx.fillRect(0, 0, width, height);
  ctx.fillStyle = token("--ink");
  ctx.font = font(14, 600);
  ctx.fillText(title, 12, 20, width - 24);
  ctx.fillStyle = token("--quiet");
  ctx.font = font(11);
  ctx.fillText(between(range[0] * 1000, range[1] * 1000), 12, 36, width - 24);
  ctx.drawImage(canvas, 0, top, width, canvas.height / scale);
  ctx.font = font(12);
  rows.forEach((row, i) => {
    const y = top + canvas.height / scale + 16 + i * 18;
    for (const { one, x: left } of row) {
      ctx.strokeStyle = one.colour;
      ctx.lineWidth = 3;
      ctx.setLineDash(one.dashed ? [4, 3] : []);
      ctx.beginPath();
      ctx.moveTo(left, y - 4);
      ctx.lineTo(left + 14, y - 4);
      ctx.stroke();
      ctx.fillStyle = token("--ink");
      ctx.fillText(one.label, left + 20, y, width - left - 24);
    }
  });
  return new Promise((done, failed) => {
    made.toBlob((blob) => (blob ? done(blob) : failed(new Error("This browser gave no picture."))), "image/png");
  });
}
