import { createSubscriber } from 'svelte/reactivity';
import { everyMinute } from './clock.ts';

/** Calls `run` whenever the local date changes; returns a function that stops it. */
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

/** Current time, reactive by day, so that an open page updates after midnight. */
export function today(): Date {
  subscribe();
  return new Date();
}
