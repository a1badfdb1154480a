import assert from "node:assert/strict";
import { test } from "node:test";
import { type Kept, Slots } from "./slots.ts";

function browser(): Kept & { all: Map<string, string> } {
  const all = new Map<string, string>();
  return { all, getItem: (name) => all.get(name) ?? null, setItem: (name, value) => { all.set(name, value); }, removeItem: (name) => { all.delete(name); } };
}

test("all pages of a browser have four streams together", () => {
  const kept = browser();
  let now = 1_000_000;
  const pages = Array.from({ length: 6 }, () => new Slots(kept, () => now));
  assert.deepEqual(pages.map((page) => page.take(1)), [1, 1, 1, 1, 0, 0]);
  // One that goes makes room; one that asks again keeps what it has.
  pages[1]?.leave();
  assert.deepEqual([pages[4]?.take(3), pages[0]?.take(1), pages[5]?.take(1)], [1, 1, 0]);
  // One that was killed is forgotten.
  now += 10_000;
  assert.equal(pages[5]?.take(3), 3);
  pages.forEach((page) => page.leave());
});

test("of two that took the same place at once one looks for another", () => {
  const kept = browser();
  const now = () => 1_000_000;
  let lost = 0;
  // Each has written before it sees what the other wrote.
  const blind = { ...kept, getItem: () => null };
  const own = { view: blind as Kept };
  const seeing: Kept = { getItem: (name) => own.view.getItem(name), setItem: kept.setItem, removeItem: kept.removeItem };
  const [one, other] = [new Slots(seeing, now, () => 0), new Slots(seeing, now, () => 0)];
  assert.deepEqual([one.take(1, () => { lost += 1; }), other.take(1, () => { lost += 10; })], [1, 1]);
  own.view = kept;
  one.check();
  other.check();
  one.check();
  assert.equal(lost, 1);
  assert.equal(one.take(1), 1);
  assert.equal(kept.all.size, 2);
  one.leave();
  other.leave();
});

test("pages that are opened at the same moment do not all begin at the same place", () => {
  const kept = browser();
  // None sees what another wrote.
  const blind: Kept = { ...kept, getItem: () => null };
  const pages = [0, 0.3, 0.6, 0.9].map((at) => new Slots(blind, () => 1_000_000, () => at));
  pages.forEach((page) => page.take(1));
  assert.equal(kept.all.size, 4);
  pages.forEach((page) => page.leave());
});

test("where nothing is kept a page has what it wants", () => {
  assert.equal(new Slots(null).take(3), 3);
  const full = { ...browser(), setItem: () => { throw new Error("full"); }, getItem: () => { throw new Error("not here"); } };
  assert.equal(new Slots(full).take(2), 2);
});
