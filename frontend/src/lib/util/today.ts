import { createSubscriber } from 'svelte/reactivity';
import { everyMinute } from './clock.ts';

/** Calls `run` whenever the local date changes. Returns a function that stops this. */
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

/** Current time, which is reactive and changes every day, so that an open page is updated after midnight. */
export function today(): Date {
  subscribe();
  return new Date();
}
