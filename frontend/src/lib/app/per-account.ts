import type { App } from '#lib/app/app.ts';

/** Returns a function that creates an instance for the current account at its first call, and another one after the account has changed. */
export function perAccount<T, Needed extends Pick<App, 'session'> = App>(make: (app: Needed) => T): (app: Needed) => T {
  let known: { account: string | undefined; value: T } | undefined;
  return (app) => {
    const account = app.session.account?.id;
    if (!known || known.account !== account) known = { account, value: make(app) };
    return known.value;
  };
}
