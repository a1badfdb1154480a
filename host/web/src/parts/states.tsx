// What stands where there is nothing to show yet, or not now: each says what is and what to do.

import type { ComponentChildren } from "preact";

export function Loading({ what = "Loading" }: { what?: string }) {
  return <p class="state loading" role="status">{what}…</p>;
}

export function Empty({ title, children }: { title: string; children?: ComponentChildren }) {
  return <div class="state empty"><p class="state-title">{title}</p>{children}</div>;
}

export function Broken({ error, retry }: { error: string; retry?: (() => void) | undefined }) {
  return (
    <div class="state broken" role="alert">
      <p class="state-title">That did not work.</p>
      <p class="said">{error}</p>
      {retry && <button type="button" onClick={retry}>Try again</button>}
    </div>
  );
}

/** A strip that says that the connection is lost, and when it is tried again. Draws nothing while it stands. */
export function Offline({ why }: { why: string | null }) {
  return (
    <div class="offline-place" role="status" aria-live="polite">
      {why !== null && <p class="offline">{why} Trying again; what is shown is from before.</p>}
    </div>
  );
}
