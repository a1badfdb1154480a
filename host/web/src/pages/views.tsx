// The views that are kept: renamed, put into another order, edited, removed; taken along as JSON, and brought back.

import { useEffect, useRef, useState } from "preact/hooks";
import { canonical } from "../lib/address.ts";
import { Failed, said, type View, views } from "../lib/api.ts";
import { cut } from "../lib/format.ts";
import { mount } from "../lib/mount.ts";
import { segment, shown } from "../lib/path.ts";
import { moved, nameFault, read, together } from "../lib/viewfile.ts";
import { Keys } from "../parts/keys.tsx";
import { Broken, Empty, Loading } from "../parts/states.tsx";

function Views() {
  const [all, setAll] = useState<View[] | null>(null);
  const [error, setError] = useState<string | null>(null);
  /** Why something was not done; it stays to be read when what is kept has been looked at again. */
  const [failed, setFailed] = useState<string | null>(null);
  const [done, setDone] = useState("");
  const [edited, setEdited] = useState<string | null>(null);
  const file = useRef<HTMLInputElement>(null);
  /** What was kept when it was looked at last, and the tag by which that is known. */
  const latest = useRef<View[]>([]);
  const tag = useRef<string | null>(null);
  /** What is being done: one waits for the other, so that it knows the tag which that has left. */
  const doing = useRef<Promise<unknown>>(Promise.resolve());
  const busy = useRef(0);

  const look = () => views.kept().then((kept) => {
    tag.current = kept.tag;
    latest.current = kept.views;
    // What is still to be done is shown as if it were.
    if (busy.current <= 1) setAll(kept.views);
    setError(null);
  }, (why: unknown) => setError(said(why)));
  useEffect(() => { void look(); }, []);

  /** Does something to what is kept, and looks what is kept then. Who is told that it failed may try again at once: that waits for the look. */
  const change = (what: string, act: () => Promise<unknown>): Promise<boolean> => {
    setDone("");
    setFailed(null);
    busy.current += 1;
    const done = doing.current.then(async () => {
      try {
        await act();
      } catch (why) {
        setFailed(why instanceof Failed && why.offline ? `${why.message} Nothing was changed.` : said(why));
        return false;
      }
      await look();
      setDone(what);
      return true;
    });
    doing.current = done.then((well) => well ? undefined : look()).finally(() => { busy.current -= 1; });
    return done;
  };
  /** `seen` is what the form has shown of it; null for none. What was done here meanwhile has left another tag. */
  const put: Put = async (view, was, seen) => {
    if (!same(latest.current.find(({ name }) => name === was) ?? null, seen)) throw new Error("The views were changed meanwhile.");
    await views.put(view, tag.current, was);
  };
  const move = (name: string, by: number) => {
    setAll((before) => before && (moved(before, name, by) ?? before));
    void change(`Moved ${cut(name, SAID)}.`, async () => {
      const next = moved(latest.current, name, by);
      if (next === null) throw new Error(`There is no view “${name}” any more.`);
      await views.replace(next, tag.current);
    });
  };
  const bring = async (chosen: File | undefined) => {
    if (!chosen || !all) return;
    setDone("");
    // It may be a folder, or be gone.
    const found = read(await chosen.text().catch(() => ""));
    if (typeof found === "string") return setFailed(`${chosen.name}: ${found}`);
    await change(`Brought ${found.length} ${found.length === 1 ? "view" : "views"}.`, () => views.replace(together(latest.current, found), tag.current));
  };
  const take = () => {
    const text = `${JSON.stringify(all ?? [], null, 2)}\n`;
    const url = URL.createObjectURL(new Blob([text], { type: "application/json" }));
    const link = document.createElement("a");
    link.href = url;
    link.download = "graftd-views.json";
    link.click();
    setTimeout(() => URL.revokeObjectURL(url), 1_000);
  };

  const names = all?.map(({ name }) => name) ?? [];
  // What is typed stays, though somebody has removed the view meanwhile.
  const rows = all !== null && edited !== null && edited !== "" && !names.includes(edited) ? [...all, { name: edited, charts: [] }] : all;

  return (
    <>
      <div class="views-head">
        <h1>Views</h1>
        <div class="views-does">
          <button type="button" disabled={!all || all.length === 0} onClick={take}>Export</button>
          <button type="button" disabled={!all} onClick={() => file.current?.click()}>Import…</button>
          <input ref={file} type="file" accept=".json,application/json" hidden aria-label="A file with views"
            onChange={(event) => { void bring(event.currentTarget.files?.[0]); event.currentTarget.value = ""; }} />
          <button type="button" class="primary" disabled={!all} aria-label={NEW} onClick={() => setEdited("")}>{NEW}</button>
        </div>
      </div>
      <p class="quiet">A view is a named page of live charts. They are kept in the daemon's data folder, for everybody who may read it.</p>
      <div role="status" aria-live="polite">{done !== "" && <p class="views-done"><bdi>{done}</bdi></p>}</div>
      {(failed ?? error) !== null && <Broken error={failed ?? error ?? ""} retry={() => { setFailed(null); void look(); }} />}
      {edited === "" && <Edit view={null} names={names} onClose={() => setEdited(null)} change={change} put={put} />}
      {all === null || rows === null ? error === null && <Loading what="Reading the views" />
        : rows.length === 0 ? edited === null && (
          <Empty title="There are no views yet.">
            <p>Pick charts on the <a href="/realtime/">realtime page</a> and save them as a view, or make one here.</p>
          </Empty>
        ) : (
          <ol class="views">
            {rows.map((view, at) => (
              <li key={view.name} class="view">
                {edited === view.name
                  ? <Edit view={all[at] ?? null} names={names} onClose={() => setEdited(null)} change={change} put={put} />
                  : (
                    <>
                      <div class="view-told">
                        <h2><a href={`/realtime/view/${segment(view.name)}`}><bdi>{cut(view.name, 100)}</bdi></a></h2>
                        <p class="quiet">{view.charts.length === 0 ? "No charts." : view.charts.slice(0, 6).map(({ key }, i) => <span key={i} class="view-key"><Keys path={key} most={48} /></span>)}
                          {view.charts.length > 6 && <span class="view-key">and {view.charts.length - 6} more</span>}</p>
                      </div>
                      <div class="view-does">
                        <button type="button" class="plain" disabled={at === 0} onClick={() => { move(view.name, -1); focusOn(`Move ${view.name} ${at > 1 ? "up" : "down"}`); }} aria-label={`Move ${view.name} up`} title="Up">↑</button>
                        <button type="button" class="plain" disabled={at === all.length - 1} onClick={() => { move(view.name, 1); focusOn(`Move ${view.name} ${at < all.length - 2 ? "down" : "up"}`); }} aria-label={`Move ${view.name} down`} title="Down">↓</button>
                        <button type="button" onClick={() => setEdited(view.name)} aria-label={`Edit ${view.name}`}>Edit</button>
                        <Remove name={view.name} onRemove={() => change(`Removed ${cut(view.name, SAID)}.`, () => views.remove(view.name, tag.current))} />
                      </div>
                    </>
                  )}
              </li>
            ))}
          </ol>
        )}
    </>
  );
}

/** Letters of a name in what is told of it. */
const SAID = 60;

/** Frames in which a button is waited for: a view that was renamed comes with the next list. */
const FRAMES = 120;

/** Gives the focus to the button of this name, as soon as it is drawn: the one that had it is gone, moved, or out of use. */
function focusOn(label: string, frames = FRAMES): void {
  requestAnimationFrame(() => {
    // Somebody went on meanwhile.
    if (frames < FRAMES && document.activeElement !== document.body) return;
    const button = document.querySelector<HTMLElement>(`button[aria-label="${CSS.escape(label)}"]`);
    if (button) button.focus();
    else if (frames > 0) focusOn(label, frames - 1);
  });
}

/** Where the focus goes when its row is gone. */
const NEW = "New view";

/** The second click of a double one comes in this time (ms), and so near (CSS pixels): it is no answer to what the first one asks. */
const DOUBLE = { time: 500, near: 8 };

/** Asks once more before it removes. */
function Remove({ name, onRemove }: { name: string; onRemove: () => Promise<boolean> }) {
  const [sure, setSure] = useState(false);
  const danger = useRef<HTMLButtonElement>(null);
  const removing = useRef(false);
  useEffect(() => { if (sure) danger.current?.focus(); }, [sure]);
  useEffect(() => () => { if (removing.current) focusOn(NEW); }, []);
  const asked = useRef({ time: 0, x: 0, y: 0 });
  const ask = ({ clientX, clientY }: MouseEvent) => {
    asked.current = { time: performance.now(), x: clientX, y: clientY };
    setSure(true);
  };
  const remove = async ({ detail, clientX, clientY }: MouseEvent) => {
    const { time, x, y } = asked.current;
    // A key's click has no place in a row of clicks.
    const again = detail > 0 && performance.now() - time < DOUBLE.time && Math.hypot(clientX - x, clientY - y) < DOUBLE.near;
    if (removing.current || again) return;
    removing.current = true;
    if (!await onRemove()) removing.current = false;
  };
  const keep = () => { setSure(false); focusOn(`Remove ${name}`); };
  return sure
    ? (
      <span class="view-sure" onKeyDown={(event) => {
        if (event.key === "Escape") keep();
        // A key that is held down has said yes to nothing yet.
        if (event.repeat && event.key === "Enter") event.preventDefault();
      }}>
        <button type="button" class="danger" ref={danger} onClick={remove}>Remove {cut(name, 24)}</button>{" "}
        <button type="button" onClick={keep}>Keep</button>
      </span>
    )
    : <button type="button" onClick={ask} aria-label={`Remove ${name}`}>Remove</button>;
}

type Put = (view: View, was: string, seen: View | null) => Promise<void>;

function same(a: View | null, b: View | null): boolean {
  return JSON.stringify(a) === JSON.stringify(b);
}

/** Paths, one a line. */
function linesOf(view: View | null): string {
  return view?.charts.map(({ key }) => key).join("\n") ?? "";
}

interface EditProps {
  /** What is kept of it now; null for nothing. */
  view: View | null;
  names: string[];
  put: Put;
  onClose: () => void;
  change: (what: string, act: () => Promise<unknown>) => Promise<boolean>;
}

/** A view's name and its charts, a path a line. */
function Edit({ view, names, put, onClose, change }: EditProps) {
  /** What is kept of it, as far as whoever edits it has seen. */
  const [seen, setSeen] = useState(view);
  const [name, setName] = useState(view?.name ?? "");
  const [text, setText] = useState(() => linesOf(view));
  const [busy, setBusy] = useState(false);
  const other = !busy && !same(view, seen);
  const wanted = name.trim();
  const taken = !busy && wanted !== view?.name && names.includes(wanted);
  const fault = nameFault(wanted);
  const first = useRef<HTMLInputElement>(null);
  useEffect(() => first.current?.focus(), []);
  const close = (called: string) => {
    onClose();
    focusOn(called === "" ? NEW : `Edit ${called}`);
  };
  const save = async (event: Event) => {
    event.preventDefault();
    // The button is not disabled meanwhile: it would lose the focus.
    if (busy) return;
    setBusy(true);
    const keys = text.split("\n").map(canonical).filter((key) => key !== "");
    const before = new Map(seen?.charts.map((chart) => [chart.key, chart]));
    const next: View = { ...seen, name: wanted, charts: keys.map((key) => before.get(key) ?? { key }) };
    const saved = await change(`Saved ${cut(wanted, SAID)}.`, () => put(next, seen?.name ?? wanted, seen));
    setBusy(false);
    if (saved) close(wanted);
  };
  return (
    <form class="view-edit" onSubmit={save}>
      <label>Name <input ref={first} value={name} maxLength={100} required onInput={(event) => setName(event.currentTarget.value)} /></label>
      <label>Charts, a path a line <textarea rows={Math.min(12, Math.max(4, text.split("\n").length + 1))} value={text} spellcheck={false} placeholder={"cpu,,idle\nload,*,one"}
        onInput={(event) => setText(event.currentTarget.value)} /></label>
      {fault !== null && <p class="bad" role="alert">{fault}</p>}
      {other && (
        <div role="alert">
          <p class="bad">{view === null ? "It was renamed or removed meanwhile."
            : <>Somebody has changed it meanwhile, to: {view.charts.length === 0 ? "no charts" : view.charts.map(({ key }) => shown(key, 48)).join("; ")}.</>}</p>
          <div class="view-does">
            {view !== null && <button type="button" onClick={() => { setSeen(view); setName(view.name); setText(linesOf(view)); }}>Take that</button>}
            <button type="button" onClick={() => setSeen(view)}>Keep mine</button>
          </div>
        </div>
      )}
      {taken && <p class="bad" role="alert">There is a view of this name already.</p>}
      <div class="view-does">
        <button type="submit" class="primary" aria-disabled={busy} disabled={other || wanted === "" || taken || fault !== null}>Save</button>
        <button type="button" onClick={() => close(view?.name ?? "")}>Cancel</button>
      </div>
    </form>
  );
}

mount(<Views />);
