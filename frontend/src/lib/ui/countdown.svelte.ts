/** Counts down the whole seconds until a time (milliseconds since 1970) while the component is mounted. */
export function useCountdown(until: () => number) {
  let now = $state(Date.now());

  $effect(() => {
    until();
    now = Date.now();
    const timer = setInterval(() => (now = Date.now()), 500);
    return () => clearInterval(timer);
  });

  return {
    get seconds() {
      return Math.max(0, Math.ceil((until() - now) / 1000));
    }
  };
}
