// Launch options for the browsers of Debian, because those of Playwright can't be downloaded everywhere.
import { existsSync } from 'node:fs';

const FULL = ['chromium', 'chromium-browser', 'google-chrome'];

const launchOptions = (...names) => ({
  executablePath: names.map((name) => `/usr/bin/${name}`).find(existsSync),
  args: ['--no-sandbox', '--disable-dev-shm-usage']
});

/** Headless shell, which renders in the same way as the full browser but needs less CPU. */
export const headlessShell = launchOptions('chromium-headless-shell', ...FULL);

/** Full browser. In contrast to the headless shell it supports notifications. */
export const chromium = launchOptions(...FULL);
