// Debian's browsers, because Playwright's can't be downloaded everywhere.
import { existsSync } from 'node:fs';

const FULL = ['chromium', 'chromium-browser', 'google-chrome'];

const launchOptions = (...names) => ({
  executablePath: names.map((name) => `/usr/bin/${name}`).find(existsSync),
  args: ['--no-sandbox', '--disable-dev-shm-usage']
});

/** Headless shell: same rendering with less CPU. */
export const headlessShell = launchOptions('chromium-headless-shell', ...FULL);

/** Full browser: supports notifications, unlike the headless shell. */
export const chromium = launchOptions(...FULL);
