import type { App } from '#lib/app/app.ts';

/** One for whoever is signed in, made at the first look; another account gets another one. */
export function perAccount<T, Needed extends Pick<App, 'session'> = App>(make: (app: Needed) => T): (app: Needed) => T {
  let known: { account: string | undefined; value: T } | undefined;
  return (app) => {
    const account = app.session.account?.id;
    if (!known || known.account !== account) known = { account, value: make(app) };
    return known.value;
  };
}
