import './src/app.css';
import { afterEach, beforeEach, vi } from 'vitest';
import { overwriteLocale } from '#lib/i18n/locale.ts';
import { toasts } from '#lib/ui/toast/toast.svelte.ts';

overwriteLocale('en');

// A test that leaves the page by the Tab key leaves the focus outside.
beforeEach(() => window.focus());

// Files follow each other in one page: no test leaves its clock, globals or toasts to the next.
afterEach(() => {
  vi.useRealTimers();
  vi.unstubAllGlobals();
  vi.restoreAllMocks();
  vi.clearAllMocks();
  toasts.length = 0;
});
