import { defineConfig } from '@playwright/test';
import { headlessShell } from './chromium.mjs';

// Which journeys: see scripts/test.
const isGate = process.env.NATTER_TEST_SIZE === 'gate';
const isLong = Boolean(process.env.NATTER_TEST_LONG);
const report = process.env.NATTER_TEST_REPORT;

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.mjs',
  outputDir: 'results',
  grep: isGate ? /@gate/ : undefined,
  // Of journeys that go through two sizes, the phone's only in a long run.
  grepInvert: isLong ? undefined : /@long|(: |, on a )phone$/,
  workers: 2,
  // A browser beside a server on two busy cores may miss a limit. What passes then is named as flaky at the end of the run.
  retries: 2,
  timeout: 90_000,
  // The gate takes seven minutes of this where it is quiet. A run that hangs ends and says so.
  globalTimeout: isGate ? 45 * 60_000 : 0,
  expect: { timeout: 15_000 },
  reporter: [['list'], ...(report ? [['json', { outputFile: report }]] : [])],
  use: {
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    actionTimeout: 15_000,
    // A trace records every step with pictures, which takes time. A failed journey is run again, and traced then.
    trace: 'on-first-retry',
    screenshot: 'only-on-failure',
    // What a service worker asks for is not seen by `page.route`; the tests of the installed app let it in.
    serviceWorkers: 'block',
    launchOptions: headlessShell
  }
});
