// What the server sent: without an SMTP server the mails lie in its folder.

import { readdir, readFile } from 'node:fs/promises';
import { join } from 'node:path';
import { expect } from '@playwright/test';

/** The newest link to that page of ours among the mails to somebody; `after` mails that are known already. */
export async function linkTo(server, email, page, { after = 0 } = {}) {
  let link;
  await expect
    .poll(async () => {
      const links = await linksTo(server, email, page);
      link = links.at(-1);
      return links.length;
    }, `a mail to ${email} with a link to ${page}`)
    .toBeGreaterThan(after);
  // Whatever name the server goes by, it is this one.
  const { pathname, search } = new URL(link);
  return pathname + search;
}

/** The links to that page in all mails to somebody, the oldest first. */
export async function linksTo(server, email, page) {
  const folder = join(server.folder, 'outbox');
  const names = (await readdir(folder).catch(() => [])).filter((name) => name.endsWith('.eml')).sort();
  const links = [];
  for (const name of names) {
    const text = decoded(await readFile(join(folder, name), 'utf8'));
    if (!new RegExp(`^To:.*${email.replaceAll('.', '\\.')}`, 'im').test(text)) continue;
    const [link] = text.match(new RegExp(`https?://[^\\s"<>]+/${page}\\?token=[\\w.~%-]+`)) ?? [];
    if (link) links.push(link);
  }
  return links;
}

/** Each part as it says that it is written: a token in a part that is not quoted-printable may look as if it were. */
function decoded(mail) {
  return mail.split(/^--/m).map(decodedPart).join('--');
}

function decodedPart(part) {
  if (!/^content-transfer-encoding: quoted-printable/im.test(part)) return part;
  return part.replaceAll(/=\r?\n/g, '').replaceAll(/=([0-9A-F]{2})/g, (_, hex) => String.fromCharCode(parseInt(hex, 16)));
}
