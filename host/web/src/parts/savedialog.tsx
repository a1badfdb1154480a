// Keeps what a page shows as a view.

import { useEffect, useRef, useState } from "preact/hooks";
import { asView } from "../lib/address.ts";
import { Failed, type Kept, said, type View, views } from "../lib/api.ts";
import { segment } from "../lib/path.ts";
import { nameFault } from "../lib/viewfile.ts";

interface SaveProps {
  keys: string[];
  window: number;
  /** The view that the page shows; null for none. */
  view: View | null;
  onClose: () => void;
}

export function SaveDialog({ keys, window, view, onClose }: SaveProps) {
  const dialog = useRef<HTMLDialogElement>(null);
  const [name, setName] = useState(view?.name ?? "");
  const [there, setThere] = useState<Kept | null>(null);
  const [error, setError] = useState<string | null>(null);
  /** It is being saved. The button is not disabled meanwhile: it would lose the focus. */
  const [busy, setBusy] = useState(false);
  const look = () => views.kept().then((kept) => { setThere(kept); return kept; }, (failed: unknown) => { setError(said(failed)); return null; });
  useEffect(() => {
    dialog.current?.showModal();
    void look();
  }, []);
  /** What is kept could not be read. */
  const unread = error !== null && there === null;
  const wanted = name.trim();
  const called = ({ name }: View) => name === wanted;
  const namesake = there?.views.find(called);
  const replaces = namesake !== undefined;
  const changed = namesake !== undefined && namesake.name === view?.name && JSON.stringify(namesake) !== JSON.stringify(view);
  const save = async (event: Event) => {
    event.preventDefault();
    if (wanted === "" || busy) return;
    const fault = nameFault(wanted);
    if (fault !== null) return setError(fault);
    setBusy(true);
    setError(null);
    // Who was quicker than the list waits for it, and sees what would be replaced before it is.
    const kept = there ?? await look();
    if (kept === null || (there === null && kept.views.some(called))) return setBusy(false);
    try {
      await views.put(asView(wanted, { keys, window }, [namesake, view]), kept.tag);
      location.assign(`/realtime/view/${segment(wanted)}`);
    } catch (failed) {
      // Somebody else was here: what would be replaced now is to be seen before it is tried again.
      if (failed instanceof Failed && failed.status === 412) await look();
      setError(said(failed));
      setBusy(false);
    }
  };
  return (
    <dialog ref={dialog} class="dialog" aria-labelledby="save-title" onClose={onClose}>
      <form onSubmit={save}>
        <h2 id="save-title">Save as view</h2>
        <label for="save-name">Name</label>
        <input id="save-name" value={name} maxLength={100} autocomplete="off" required onInput={(event) => setName(event.currentTarget.value)} />
        <p class={changed ? "bad" : "quiet"}>{changed ? "Somebody has changed this view since it was loaded here; these charts take the place of what they made of it."
          : replaces ? "There is a view of this name; it will show these charts." : `Keeps ${keys.length} ${keys.length === 1 ? "chart" : "charts"} under an address of its own.`}</p>
        {error !== null && <p class="said bad" role="alert">{error}</p>}
        {unread && <p><button type="button" onClick={() => { setError(null); void look(); }}>Try again</button></p>}
        <div class="dialog-does">
          <button type="button" onClick={() => dialog.current?.close()}>Cancel</button>
          <button type="submit" class="primary" disabled={wanted === "" || unread} aria-disabled={busy}>{replaces ? "Replace" : "Save"}</button>
        </div>
      </form>
    </dialog>
  );
}
