import type { App } from './app.ts';
import { arrive as announce } from './broadcasts/arrive.ts';
import { keepNotesInStep } from './notes/kept.ts';
import { getLocale } from './locale.ts';
import { arrive as locate } from './people/arrive.svelte.ts';
import { arrive as install } from './pwa/arrive.ts';

/** The line is open: what no page waits for begins. */
export function arrive(app: App): void {
  // Where they don’t come, the server’s own are there.
  if (getLocale() !== 'en') import('./api/field-words.ts').catch(() => undefined);
  announce(app);
  install();
  locate(app.session);
  void keepNotesInStep(app);
}
