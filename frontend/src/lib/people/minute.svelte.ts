import { createSubscriber } from 'svelte/reactivity';

const MINUTE = 60_000;

const follow = createSubscriber((update) => {
  let timer: ReturnType<typeof setTimeout>;
  const wait = () => {
    timer = setTimeout(
      () => {
        update();
        wait();
      },
      MINUTE - (Date.now() % MINUTE)
    );
  };
  wait();
  return () => clearTimeout(timer);
});

/** Now, for what is written to the minute: whoever reads it is told when the next one begins. All readers share a timer. */
export function thisMinute(): Date {
  follow();
  return new Date();
}
