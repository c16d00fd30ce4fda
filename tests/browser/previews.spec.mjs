// Link previews: display, removal and settings.

import { readFile } from 'node:fs/promises';
import { createServer } from 'node:http';
import { apiOf, DESKTOP, expect, PHONE, shoot, test as base } from './people.mjs';

const HEAD = `<title>x</title><meta property="og:title" content="Harbour plans for the summer">
  <meta property="og:site_name" content="The Harbour"><meta property="og:image" content="/picture.png">
  <meta name="description" content="Which quays are closed, which ships come, and where there is something to eat.">`;

const test = base.extend({
  settings: [{ OUTGOING__ALLOW: '127.0.0.1' }, { scope: 'worker' }],
  /** Website on this machine to which the messages link. */
  site: [
    async ({}, use) => {
      const picture = await readFile(new URL('../../frontend/static/icon-512.png', import.meta.url));
      const site = createServer((request, response) => {
        const isPicture = request.url === '/picture.png';
        response.setHeader('content-type', isPicture ? 'image/png' : 'text/html; charset=utf-8');
        response.end(isPicture ? picture : `<html><head>${HEAD}</head><body></body></html>`);
      });
      await new Promise((resolve) => site.listen(0, '127.0.0.1', resolve));
      await use(`http://127.0.0.1:${site.address().port}`);
      site.close();
    },
    { scope: 'worker' }
  ]
});

test('previews a link', async ({ arrive, server, site }) => {
  const [anna, ben] = [await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } }), await arrive('Ben')];
  await anna.openChatWith(ben);
  await anna.write(`Look at this: ${site}/plans`);
  await ben.openConversation(anna.name);
  const cards = (visitor) => visitor.log.getByRole('list', { name: 'Link previews' });
  await expect(cards(ben).getByText('Harbour plans for the summer')).toBeVisible();
  await expect(cards(ben).getByRole('link')).toHaveAttribute('href', `${site}/plans`);
  await expect(cards(anna).locator('img')).toHaveJSProperty('complete', true);
  await ben.expectFlawless('a link preview');
  await anna.expectFlawless('one’s own link preview');
  await shoot(anna.page, 'preview-1440');
  await ben.page.setViewportSize(PHONE.viewport);
  await shoot(ben.page, 'preview-390');

  // Only the author can remove the preview, and it disappears for both.
  await expect(cards(ben).getByRole('button')).toHaveCount(0);
  await cards(anna).hover();
  await cards(anna).getByRole('button', { name: 'Remove previews' }).click();
  await expect(cards(anna)).toHaveCount(0);
  await expect(cards(ben)).toHaveCount(0);

  // If the setting is off, the links of the user have no previews, but those of others do.
  await anna.page.goto('/settings#appearance');
  const choice = anna.page.getByRole('switch', { name: 'Link previews' });
  await expect(choice).toHaveAttribute('aria-checked', 'true');
  await choice.click();
  await expect(choice).toHaveAttribute('aria-checked', 'false');
  await anna.expectFlawless('the choice of link previews');
  await shoot(anna.page, 'preview-choice-1440');
  const annas = await apiOf(server, anna);
  const { items } = await annas.call('GET', '/r1/conversations');
  const chat = items.find(({ last_message }) => last_message?.content.includes(site));
  const client_id = crypto.randomUUID();
  await annas.call('POST', `/r1/conversations/${chat.id}/messages`, {
    client_id,
    content: `${site}/hidden`
  });
  await ben.write(`${site}/shown`);
  await expect(cards(ben)).toHaveCount(1);
  await expect(cards(ben).getByRole('link')).toHaveAttribute('href', `${site}/shown`);
});

test('omits a preview before sending', async ({ arrive, register, server, site }) => {
  const [anna, ben] = [await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } }), await register('Ben')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  const host = new URL(site).host;
  const cards = anna.log.getByRole('list', { name: 'Link previews' });
  const form = page.locator('form.composer');

  await composer.pressSequentially('Read this first');
  await expect(form.getByText('Preview of')).toHaveCount(0);
  await composer.fill(`${site}/one and ${site}/two`);
  await expect(form.getByText(`Preview of ${host}`)).toBeVisible();
  await anna.expectFlawless('a link that is being written');
  await shoot(page, 'preview-before-1440');

  // The preview is omitted by keyboard, and the choice is stored with the draft.
  await composer.press('Tab');
  await expect(form.getByRole('button', { name: 'Hide preview' })).toBeFocused();
  await page.keyboard.press('Enter');
  await expect(form.getByText('No link preview')).toBeVisible();
  await anna.expectFlawless('a preview that is left out');
  await page.reload();
  await expect(composer).toHaveValue(`${site}/one and ${site}/two`);
  await expect(form.getByText('No link preview')).toBeVisible();
  await page.setViewportSize(PHONE.viewport);
  await shoot(page, 'preview-left-out-390');
  await page.setViewportSize(DESKTOP);
  await composer.press('Enter');
  await anna.sees(`${site}/two`);

  // The next message has a preview again, and the choice can be reverted.
  await composer.fill(`${site}/three`);
  await form.getByRole('button', { name: 'Hide preview' }).click();
  await form.getByRole('button', { name: 'Show preview' }).click();
  await expect(composer).toBeFocused();
  await composer.press('Enter');
  await expect(cards).toHaveCount(1);
  await expect(cards.getByRole('link')).toHaveAttribute('href', `${site}/three`);

  // If previews are off, there is no such choice.
  const annas = await apiOf(server, anna);
  await annas.call('PUT', '/r1/users/me/previews', { is_on: false });
  await page.reload();
  const asked = page.waitForResponse(/\/users\/me\/previews/);
  await composer.fill(`${site}/four`);
  await asked;
  await expect(form.getByRole('button', { name: 'Hide preview' })).toHaveCount(0);
});
