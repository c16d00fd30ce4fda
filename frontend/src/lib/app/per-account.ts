import type { App } from '#lib/app/app.ts';

/** Lazily creates one instance per account. */
export function perAccount<T, Needed extends Pick<App, 'session'> = App>(make: (app: Needed) => T): (app: Needed) => T {
  let known: { account: string | undefined; value: T } | undefined;
  return (app) => {
    const account = app.session.account?.id;
    if (!known || known.account !== account) known = { account, value: make(app) };
    return known.value;
  };
}
