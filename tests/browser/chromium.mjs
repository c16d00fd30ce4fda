// The browsers of Debian; Playwright's own can't be fetched everywhere.
import { existsSync } from 'node:fs';

const FULL = ['chromium', 'chromium-browser', 'google-chrome'];

const launchOptions = (...names) => ({
  executablePath: names.map((name) => `/usr/bin/${name}`).find(existsSync),
  args: ['--no-sandbox', '--disable-dev-shm-usage']
});

/** Draws the same pages as Chromium with less of the processor. */
export const headlessShell = launchOptions('chromium-headless-shell', ...FULL);

/** Shows notifications, which the headless shell does not. */
export const chromium = launchOptions(...FULL);
