import { createSubscriber } from 'svelte/reactivity';

const MINUTE = 60_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** Last reported minute. */
let told = 0;

const current = () => Math.floor(Date.now() / MINUTE);

function update(): void {
  clearTimeout(timer);
  // Skipped while hidden; returning to the page updates it.
  if (document.visibilityState === 'hidden') return;
  if (current() !== told) {
    told = current();
    for (const run of [...listeners]) run();
  }
  timer = setTimeout(update, MINUTE - (Date.now() % MINUTE));
}

/** Calls `run` every minute and when the page becomes visible after one; returns a function that stops it. Callers share one timer. */
export function everyMinute(run: () => void): () => void {
  if (listeners.size === 0) {
    told = current();
    document.addEventListener('visibilitychange', update);
    update();
  }
  listeners.add(run);
  return () => {
    listeners.delete(run);
    if (listeners.size > 0) return;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', update);
  };
}

const follow = createSubscriber(everyMinute);

/** Current time, reactive by minute. */
export function thisMinute(): Date {
  follow();
  return new Date();
}
