// Fixtures: the server, and visitors with methods for what users do.

import { setTimeout } from 'node:timers/promises';
import { test as base, expect } from '@playwright/test';
import axe from 'axe-core';
import { freePort, Person, PASSWORD, startServer } from '../clients/server.mjs';
import { startMail } from './mail.mjs';
import { startUpstream } from './upstream.mjs';

export { expect, PASSWORD };

/** Delay of each script in milliseconds. Slow loading shows where a test doesn't wait. */
const SCRIPTS_LATE_MS = Number(process.env.SCRIPTS_LATE_MS ?? 0);

async function late(context) {
  if (SCRIPTS_LATE_MS > 0)
    await context.route('**/*.js', async (route) => {
      await setTimeout(SCRIPTS_LATE_MS);
      await route.continue().catch(() => {}); // The page is closed.
    });
  return context;
}

export const test = base.extend({
  browser: [
    async ({ browser }, use) => {
      const open = browser.newContext.bind(browser);
      browser.newContext = async (options) => late(await open(options));
      await use(browser);
      browser.newContext = open;
    },
    { scope: 'worker' }
  ],
  context: async ({ context }, use) => use(await late(context)),
  upstream: [
    async ({}, use) => {
      const upstream = await startUpstream();
      await use(upstream);
      upstream.stop();
    },
    { scope: 'worker' }
  ],
  mail: [
    async ({}, use) => {
      const mail = await startMail();
      await use(mail);
      mail.stop();
    },
    { scope: 'worker' }
  ],
  /** Settings with which the server of a spec file is started. */
  settings: [{}, { option: true, scope: 'worker' }],
  server: [
    async ({ upstream, mail, settings }, use) => {
      const port = await freePort();
      const server = await startServer({
        SERVER__PORT: port,
        // A host name is used, because passkeys don't work with an IP address.
        SERVER__PUBLIC_URL: `http://localhost:${port}`,
        MAIL__SMTP_URL: mail.url,
        AI__PROVIDERS__FAKE__KIND: 'openai',
        AI__PROVIDERS__FAKE__BASE_URL: upstream.url,
        AI__PROVIDERS__FAKE__KEYS: 'key-one',
        AI__PROVIDERS__FAKE__MODELS: 'small,large',
        ...settings
      });
      // The first account becomes the admin, so it is created before those of the visitors.
      const admin = { email: 'admin@example.test', password: PASSWORD, display_name: 'The Admin' };
      await fetch(`${server.url}/r1/auth/signup`, {
        method: 'POST',
        headers: { 'content-type': 'application/json' },
        body: JSON.stringify(admin)
      });
      await use({ ...server, admin, mails: mail.mails });
      await server.stop();
    },
    { scope: 'worker' }
  ],
  /** `await register('Anna')` creates an account by the API, and an empty page on which it is signed in. */
  register: async ({ browser, server }, use) => {
    const contexts = [];
    await use(async (name, options = {}) => {
      const context = await browser.newContext({ baseURL: server.url, viewport: DESKTOP, ...options });
      contexts.push(context);
      const visitor = new Visitor(await context.newPage(), name);
      await visitor.register(server);
      return visitor;
    });
    for (const context of contexts) await context.close();
  },
  /** `await arrive('Anna')` creates such an account and opens the app on its page. */
  arrive: async ({ register }, use) => {
    await use(async (name, options) => {
      const visitor = await register(name, options);
      await visitor.open();
      return visitor;
    });
  }
});

/** Opens a page on which the admin is signed in. */
export async function signInAsAdmin(context, server) {
  const { email, password } = server.admin;
  await context.request.post(`${server.url}/r1/auth/signin`, {
    headers: { 'X-Natter-Transport': 'cookie', Origin: server.url },
    data: { email, password }
  });
  return new Visitor(await context.newPage(), 'Admin');
}

/** Takes screenshots of a page in both themes, if the variable `SHOTS` names a folder for them. */
export async function shoot(page, name) {
  if (!process.env.SHOTS) return;
  for (const theme of ['light', 'dark']) {
    await page.evaluate((theme) => {
      document.documentElement.dataset.theme = theme;
      document.documentElement.classList.toggle('dark', theme === 'dark');
    }, theme);
    await page.evaluate(endTransitions);
    await page.screenshot({ path: `${process.env.SHOTS}/${name}-${theme}.png` });
  }
  await page.evaluate(() => {
    document.documentElement.dataset.theme = 'light';
    document.documentElement.classList.remove('dark');
  });
}

/** Waits until the transitions and animations that have an end are over. A change of the theme or size starts them in the next frames. */
async function endTransitions() {
  for (let frame = 0; frame < 3; frame += 1) await new Promise(requestAnimationFrame);
  const ending = document.getAnimations().filter(({ effect }) => effect.getComputedTiming().endTime < Infinity);
  await Promise.allSettled(ending.filter(({ playState }) => playState === 'running').map(({ finished }) => finished));
}

/** Whether the run is the long one. */
export const IS_LONG = Boolean(process.env.NATTER_TEST_LONG);

export const DESKTOP = { width: 1280, height: 800 };
export const PHONE = { viewport: { width: 390, height: 844 }, hasTouch: true, isMobile: true };
/** Options of a phone in landscape. */
export const SIDEWAYS = { ...PHONE, viewport: { width: 844, height: 390 } };

let count = 0;

export class Visitor {
  constructor(page, name) {
    this.page = page;
    count += 1;
    // Locators find parts of texts and ignore case, so no name may contain another one.
    const [first, second] = [Math.floor(count / 26), count % 26].map((at) => String.fromCharCode(65 + at));
    this.name = `${name} ${first}${second}`;
    this.email = `${name.toLowerCase()}${count}-${Date.now()}@example.test`;
    this.log = page.getByRole('main').getByRole('log');
    this.composer = page.getByRole('textbox', { name: 'Message', exact: true });
    this.problems = [];
    page.on('pageerror', (error) => this.problems.push(error.message));
  }

  /** Creates an account by the API, because the sign-up form has a test of its own. */
  async register(server) {
    const answer = await this.page.context().request.post(`${server.url}/r1/auth/signup`, {
      headers: { 'X-Natter-Transport': 'cookie', Origin: server.url },
      data: { email: this.email, password: PASSWORD, display_name: this.name }
    });
    expect(answer.ok()).toBe(true);
  }

  async open() {
    await this.page.goto('/');
    await expect(this.page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  }

  async signUp() {
    const { page } = this;
    await page.goto('/');
    await page
      .getByRole('link', { name: /create (an )?account|sign up/i })
      .first()
      .click();
    await this.fillSignUp();
    await expect(page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  }

  async fillSignUp() {
    const { page } = this;
    await page.getByLabel('Display name').fill(this.name);
    await page.getByLabel('Email').fill(this.email);
    await page.getByLabel('Password', { exact: true }).fill(PASSWORD);
    await page.getByRole('button', { name: 'Create account' }).click();
  }

  async fillSignIn(email = this.email, password = PASSWORD) {
    const { page } = this;
    // The page behind the dialog of an expired session may also mention an email address, so the role is given.
    await page.getByRole('textbox', { name: 'Email' }).fill(email);
    await page.getByLabel('Password', { exact: true }).fill(password);
    await page.getByRole('button', { name: 'Sign in', exact: true }).click();
  }

  async signIn(password = PASSWORD) {
    const { page } = this;
    await this.fillSignIn(this.email, password);
    await expect(page.getByRole('button', { name: 'New conversation' }).first()).toBeVisible();
  }

  /** Clears the cookies as if the browser had lost them, so that the sign-in page appears. */
  async signOut() {
    await this.page.context().clearCookies();
    await this.page.evaluate(() => localStorage.clear());
    await this.page.goto('/sign-in');
  }

  /** Starts a direct conversation by choosing the other person. */
  async openChatWith(other) {
    await this.page.getByRole('button', { name: 'New conversation' }).first().click();
    const dialog = this.page.getByRole('dialog');
    await dialog.getByRole('searchbox').or(dialog.getByRole('textbox')).first().fill(other.name);
    await dialog.getByRole('button', { name: other.name }).click();
    await expect(this.composer).toBeVisible();
  }

  async openAssistant() {
    await this.page.getByRole('button', { name: 'New conversation' }).first().click();
    const dialog = this.page.getByRole('dialog');
    await dialog.getByRole('tab', { name: 'Assistant' }).click();
    await dialog.getByRole('tabpanel').getByRole('button').first().click();
    await expect(this.composer).toBeVisible();
  }

  async openConversation(name) {
    await this.page.getByRole('link', { name }).first().click();
    await expect(this.composer).toBeVisible();
  }

  async write(text) {
    await this.composer.fill(text);
    await this.composer.press('Enter');
  }

  async sees(text) {
    await expect(this.log.getByText(text).first()).toBeVisible();
  }

  /** Checks that the page has no errors and that axe finds no violations. */
  async expectFlawless(what) {
    // Waits until the page is painted.
    await expect(this.page.locator('h1').first(), what).toBeAttached();
    expect.soft(await violationsOf(this.page), what).toEqual([]);
    expect.soft(await this.page.locator('.dialog-body > .dialog-foot').evaluateAll(overlapping), what).toEqual([]);
    expect(this.problems, what).toEqual([]);
  }

  /** Checks the contrast of all texts. Of the rules of axe, only this one depends on the theme. */
  async expectContrast(what) {
    expect.soft(await violationsOf(this.page, ['color-contrast']), what).toEqual([]);
  }
}

/** Violations that axe finds on the page; of the given rules, by default of all. Frames are not searched. */
async function violationsOf(page, rules) {
  // Several checks of one page share the script, which is large.
  if (!(await page.evaluate(() => 'axe' in globalThis))) await page.evaluate(axe.source);
  // Colours in the middle of a transition have no contrast to check.
  await page.evaluate(endTransitions);
  return page.evaluate(async (runOnly) => {
    const options = { iframes: false, resultTypes: ['violations'], ...(runOnly && { runOnly }) };
    const { violations } = await globalThis.axe.run(document, options);
    return violations.map(({ id, nodes }) => `${id}: ${nodes.map(({ target }) => target.join(' ')).join(', ')}`);
  }, rules);
}

/** Elements that the footer of a dialog covers, although the dialog fits on the screen. */
function overlapping(feet) {
  return feet
    .filter(({ parentElement: body }) => body.scrollHeight <= body.clientHeight)
    .filter((foot) => foot.previousElementSibling?.getBoundingClientRect().bottom > foot.getBoundingClientRect().top)
    .map((foot) => foot.previousElementSibling.outerHTML.slice(0, 200));
}

/** Adds a virtual authenticator to a page; returns its id and the session of the DevTools protocol. */
export async function giveAuthenticator(page) {
  const devtools = await page.context().newCDPSession(page);
  await devtools.send('WebAuthn.enable');
  const { authenticatorId } = await devtools.send('WebAuthn.addVirtualAuthenticator', {
    options: {
      protocol: 'ctap2',
      transport: 'internal',
      hasResidentKey: true,
      hasUserVerification: true,
      isUserVerified: true,
      automaticPresenceSimulation: true
    }
  });
  return { devtools, authenticatorId };
}

/** API client with the account of a visitor, by which tests prepare data fast. */
export async function apiOf(server, visitor) {
  const answer = await fetch(`${server.url}/r1/auth/signin`, {
    method: 'POST',
    headers: { 'content-type': 'application/json' },
    body: JSON.stringify({ email: visitor.email, password: PASSWORD })
  });
  return new Person(server.url, (await answer.json()).data);
}
