import { createSubscriber } from 'svelte/reactivity';

/** A timer sleeps with the device: it is looked at so often, and when somebody comes back. */
const LOOK_EVERY = 60_000;

/** Runs that when another day has begun where the reader is; answers how to stop. */
export function whenDayChanges(run: () => void): () => void {
  let day = new Date().toDateString();
  const look = () => {
    const now = new Date().toDateString();
    if (now === day) return;
    day = now;
    run();
  };
  const timer = setInterval(look, LOOK_EVERY);
  document.addEventListener('visibilitychange', look);
  return () => {
    clearInterval(timer);
    document.removeEventListener('visibilitychange', look);
  };
}

const subscribe = createSubscriber(whenDayChanges);

/** Now. What is drawn by it is drawn again with each new day: a page may stay open over midnight. */
export function today(): Date {
  subscribe();
  return new Date();
}
