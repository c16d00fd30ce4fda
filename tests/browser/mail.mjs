// Mail server for tests.

import { spawn } from 'node:child_process';
import { createInterface } from 'node:readline';
import { fileURLToPath } from 'node:url';
import { expect } from '@playwright/test';

/** Starts a server that receives mail by SMTP and adds it to `mails`. */
export async function startMail() {
  const folder = fileURLToPath(new URL('../mail', import.meta.url));
  const child = spawn('node', ['server.mjs'], { cwd: folder, stdio: ['pipe', 'pipe', 'inherit'] });
  const mails = [];
  const port = await new Promise((resolve, reject) => {
    createInterface({ input: child.stdout }).on('line', (line) => {
      const told = JSON.parse(line);
      if (told.listening) resolve(told.listening);
      else mails.push(told);
    });
    child.once('exit', (code) => reject(new Error(`the mail server ended with ${code}`)));
  });
  return { url: `smtp://127.0.0.1:${port}`, mails, stop: () => child.kill() };
}

/** Waits until the mails to an address contain more than `after` links to a page; returns path and query of the latest one. */
export async function linkTo(server, email, page, { after = 0 } = {}) {
  let link;
  await expect
    .poll(() => {
      const links = linksTo(server, email, page);
      link = links.at(-1);
      return links.length;
    }, `a mail to ${email} with a link to ${page}`)
    .toBeGreaterThan(after);
  // The link starts with the public URL, so only its path and query are used.
  const { pathname, search } = new URL(link);
  return pathname + search;
}

/** Links to a page in all mails to an address, oldest first. */
export function linksTo({ mails }, email, page) {
  const link = new RegExp(`https?://[^\\s"<>]+/${page}\\?token=[\\w.~%-]+`);
  return mails.filter(({ to }) => to.includes(email)).flatMap(({ text }) => text.match(link) ?? []);
}

/** Verifies the email address of a visitor by the link in the mail. */
export async function verifyEmail(server, { page, email }) {
  const token = new URL(await linkTo(server, email, 'verify-email'), server.url).searchParams.get('token');
  const headers = { 'X-Natter-Transport': 'cookie', Origin: server.url };
  const answer = await page.request.post(`${server.url}/r1/auth/verify-email`, { headers, data: { token } });
  expect(answer.status()).toBe(200);
}
