import { defineConfig } from '@playwright/test';
import { headlessShell } from './chromium.mjs';

// Selection of journeys: see scripts/test.
const isGate = process.env.NATTER_TEST_SIZE === 'gate';
const isLong = Boolean(process.env.NATTER_TEST_LONG);
const report = process.env.NATTER_TEST_REPORT;

export default defineConfig({
  testDir: '.',
  testMatch: '*.spec.mjs',
  outputDir: 'results',
  grep: isGate ? /@gate/ : undefined,
  // Journeys with two sizes run the phone size in a long run only.
  grepInvert: isLong ? undefined : /@long|(: |, on a )phone$/,
  workers: 2,
  // Timeouts happen on two busy cores; retries are reported as flaky.
  retries: 2,
  timeout: 90_000,
  // The gate takes seven minutes on an idle machine; a hanging run is ended.
  globalTimeout: isGate ? 45 * 60_000 : 0,
  expect: { timeout: 15_000 },
  reporter: [['list'], ...(report ? [['json', { outputFile: report }]] : [])],
  use: {
    locale: 'en-GB',
    timezoneId: 'Europe/Berlin',
    actionTimeout: 15_000,
    // Traces are slow, so only retries record them.
    trace: 'on-first-retry',
    screenshot: 'only-on-failure',
    // `page.route` doesn't see requests of service workers; the PWA tests enable them.
    serviceWorkers: 'block',
    launchOptions: headlessShell
  }
});
