import { createSubscriber } from 'svelte/reactivity';

const MINUTE = 60_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** Minute that was reported last, counted since 1970. */
let told = 0;

const current = () => Math.floor(Date.now() / MINUTE);

function update(): void {
  clearTimeout(timer);
  // Subscribers are not called while the page is hidden, but once it is visible again.
  if (document.visibilityState === 'hidden') return;
  if (current() !== told) {
    told = current();
    for (const run of [...listeners]) run();
  }
  timer = setTimeout(update, MINUTE - (Date.now() % MINUTE));
}

/**
 * Calls `run` every minute, and when the page becomes visible if a minute has passed. Returns a function that stops this. All callers share one
 * timer.
 */
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

/** Current time, which is reactive and changes every minute. */
export function thisMinute(): Date {
  follow();
  return new Date();
}
