// A daemon that does not answer is asked again, each time later than before: to ask anew gives up what was asked, and one that wants
// long for its answer has to come to an end with it.

const WAIT_MIN = 3_000;
/** More than an answer may take. */
const WAIT_MAX = 120_000;

/** Calls `ask` again and again, until told to stop. */
export function ever(ask: () => void): () => void {
  let wait = WAIT_MIN;
  let timer = setTimeout(function next() {
    ask();
    wait = Math.min(wait * 2, WAIT_MAX);
    timer = setTimeout(next, wait);
  }, wait);
  return () => clearTimeout(timer);
}
