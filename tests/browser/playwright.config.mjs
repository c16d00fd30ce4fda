import { defineConfig } from '@playwright/test';
import { headlessShell } from './chromium.mjs';

// `scripts/test` chooses which tests run.
const isGate = process.env.NATTER_TEST_SIZE === 'gate';
const isLong = Boolean(process.env.NATTER_TEST_LONG);
const report = process.env.NATTER_TEST_REPORT;

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.mjs',
  outputDir: 'results',
  grep: isGate ? /@gate/ : undefined,
  // Tests that exist in two sizes run in that of a phone in a long run only.
  grepInvert: isLong ? undefined : /@long|(: |, on a )phone$/,
  workers: 2,
  // Two busy cores are sometimes too slow for the timeouts. A test that succeeds when retried is reported as flaky.
  retries: 2,
  timeout: 90_000,
  // The gate takes seven minutes on an idle machine. A run that hangs is ended.
  globalTimeout: isGate ? 45 * 60_000 : 0,
  expect: { timeout: 15_000 },
  reporter: [['list'], ...(report ? [['json', { outputFile: report }]] : [])],
  use: {
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    actionTimeout: 15_000,
    // Traces are slow, so only the first retry records one.
    trace: 'on-first-retry',
    screenshot: 'only-on-failure',
    // `page.route` doesn't see the requests of service workers, so only the tests of the installed app allow these.
    serviceWorkers: 'block',
    launchOptions: headlessShell
  }
});
