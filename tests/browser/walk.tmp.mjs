import { chromium } from '@playwright/test';
const base = process.argv[2];
const browser = await chromium.launch({ executablePath: '/usr/bin/chromium', args: ['--no-sandbox', '--disable-dev-shm-usage'] });
for (const [w, h] of [[1440, 900], [390, 844]]) for (const colorScheme of ['light', 'dark']) {
  const context = await browser.newContext({ baseURL: base, viewport: { width: w, height: h }, colorScheme, locale: 'en-GB' });
  const page = await context.newPage();
  const shot = (name) => page.screenshot({ path: `/tmp/walk/${name}-${w}-${colorScheme}.png` });
  await page.goto('/sign-up'); await page.getByLabel('Display name').waitFor(); await page.getByLabel('Email').fill(`anna@example.test`);
  await page.getByLabel('Display name').fill('Anna Example'); await page.getByLabel('Password', { exact: true }).fill('Weakpass1'); await page.waitForTimeout(600); await shot('sign-up');
  await page.getByRole('link', { name: /sign in/i }).first().click(); await page.getByRole('button', { name: 'Sign in', exact: true }).waitFor(); await page.waitForTimeout(300);
  await shot('sign-in');
  await page.getByLabel('Password', { exact: true }).fill('Wrong-password-1'); await page.getByRole('button', { name: 'Sign in', exact: true }).click(); await page.getByRole('alert').first().waitFor().catch(() => {}); await page.waitForTimeout(300); await shot('sign-in-wrong');
  await context.close();
}
await browser.close();
