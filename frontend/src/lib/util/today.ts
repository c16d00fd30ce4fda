import { createSubscriber } from 'svelte/reactivity';
import { everyMinute } from './clock.ts';

/** Runs that when another day has begun where the reader is; answers how to stop. */
export function whenDayChanges(run: () => void): () => void {
  let day = new Date().toDateString();
  return everyMinute(() => {
    const now = new Date().toDateString();
    if (now === day) return;
    day = now;
    run();
  });
}

const subscribe = createSubscriber(whenDayChanges);

/** Now. What is drawn by it is drawn again with each new day: a page may stay open over midnight. */
export function today(): Date {
  subscribe();
  return new Date();
}
