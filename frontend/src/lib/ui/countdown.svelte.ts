/** Whole seconds until a moment (milliseconds since 1970), counted down while somebody looks. */
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
