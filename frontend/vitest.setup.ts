import { afterAll, vi } from 'vitest';
import { locales } from '#lib/i18n/locale.ts';
import { loadMessages } from '#lib/paraglide/initial.js';

// Tests switch the language.
for (const locale of locales) await loadMessages(locale);

// Files follow each other in one process: none leaves its clock, globals or spies to the next.
afterAll(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.unstubAllEnvs();
  vi.restoreAllMocks();
});
