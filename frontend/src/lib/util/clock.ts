import { createSubscriber } from 'svelte/reactivity';

const MINUTE = 60_000;

const listeners = new Set<() => void>();
let timer: ReturnType<typeof setTimeout> | undefined;
/** The minute that they know of. */
let told = 0;

const current = () => Math.floor(Date.now() / MINUTE);

function look(): void {
  clearTimeout(timer);
  // Nobody reads it: whoever comes back finds what it is by then.
  if (document.visibilityState === 'hidden') return;
  if (current() !== told) {
    told = current();
    for (const run of [...listeners]) run();
  }
  timer = setTimeout(look, MINUTE - (Date.now() % MINUTE));
}

/** Runs that when another minute has begun, and when somebody comes back after one; answers how to stop. All share a timer. */
export function everyMinute(run: () => void): () => void {
  if (listeners.size === 0) {
    told = current();
    document.addEventListener('visibilitychange', look);
    look();
  }
  listeners.add(run);
  return () => {
    listeners.delete(run);
    if (listeners.size > 0) return;
    clearTimeout(timer);
    document.removeEventListener('visibilitychange', look);
  };
}

const follow = createSubscriber(everyMinute);

/** Now, for what is written to the minute: it is written again when the next one begins. */
export function thisMinute(): Date {
  follow();
  return new Date();
}
