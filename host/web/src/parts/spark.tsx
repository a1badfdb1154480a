// A line as small as a word: how a value went on lately, painted on a canvas.

import { useEffect, useRef } from "preact/hooks";
import { token } from "../lib/theme.ts";

export interface SparkProps { values: readonly number[]; width?: number; height?: number; colour?: string | undefined }

export function Spark({ values, width = 56, height = 16, colour }: SparkProps) {
  const place = useRef<HTMLCanvasElement>(null);
  useEffect(() => {
    const canvas = place.current;
    const ctx = canvas?.getContext("2d");
    if (!canvas || !ctx) return;
    const scale = devicePixelRatio || 1;
    canvas.width = Math.round(width * scale);
    canvas.height = Math.round(height * scale);
    if (values.length < 2) return;
    const [min, max] = [Math.min(...values), Math.max(...values)];
    ctx.scale(scale, scale);
    ctx.strokeStyle = colour ?? token("--quiet");
    ctx.lineWidth = 1.25;
    ctx.beginPath();
    values.forEach((value, i) => {
      const x = 1 + (i * (width - 2)) / (values.length - 1);
      const y = max === min ? height / 2 : 1.5 + ((max - value) * (height - 3)) / (max - min);
      if (i === 0) ctx.moveTo(x, y);
      else ctx.lineTo(x, y);
    });
    ctx.stroke();
  }, [values, values.length, width, height, colour]);
  return <canvas class="spark" ref={place} aria-hidden="true" style={{ width: `${width}px`, height: `${height}px` }} />;
}
