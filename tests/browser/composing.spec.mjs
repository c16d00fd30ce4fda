// Composer: completions, reactions, mentions, drafts and commands.

import { apiOf, DESKTOP, expect, PHONE, shoot, test } from './people.mjs';

test('completes emoji and channels while typing', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  const list = page.getByRole('listbox', { name: 'Emoji' });

  // An emoji is completed from its short code, and selected by keyboard.
  await composer.pressSequentially('Well done :tad');
  await expect(list.getByRole('option').first()).toHaveText(/:tada:/);
  await anna.expectFlawless('the emoji that are offered');
  await composer.press('Enter');
  await expect(composer).toHaveValue('Well done 🎉 ');
  await expect(list).toHaveCount(0);
  // A colon after the short code also inserts it; an unknown code stays text.
  await composer.pressSequentially('at 12:30 :smile:');
  await expect(composer).toHaveValue('Well done 🎉 at 12:30 😄');
  await composer.pressSequentially(' :smi');
  await expect(list).toBeVisible();
  await composer.press('ArrowDown');
  await expect(list.getByRole('option', { selected: true })).toHaveText(/smirk/);
  await composer.press('Escape');
  await expect(list).toHaveCount(0);
  await composer.press('Enter');
  await anna.sees('Well done 🎉 at 12:30 😄 :smi');

  // A channel is linked.
  const api = await apiOf(server, anna);
  const channel = await api.call('POST', '/r1/conversations', { kind: 'public_channel', title: 'Harbour works' });
  await expect(page.getByRole('link', { name: 'Harbour works' }).first()).toBeVisible();
  await composer.pressSequentially('See #harb');
  const channels = page.getByRole('listbox', { name: 'Channels' });
  await expect(channels.getByRole('option')).toHaveCount(1);
  await composer.press('Tab');
  await expect(composer).toHaveValue('See #Harbour works ');
  await composer.press('Enter');
  await anna.log.getByRole('link', { name: '#Harbour works' }).click();
  await expect(page).toHaveURL(new RegExp(channel.id));
});

test('reacts by +emoji and sends a long text as a file', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  const sees = async (message, name) =>
    expect(message.getByRole('list', { name: 'Reactions' }).getByRole('button', { name })).toBeVisible();

  await anna.write('Shipped!');
  await ben.openConversation(anna.name);
  await ben.sees('Shipped!');
  await ben.write('+:tada:');
  await expect(ben.composer).toHaveValue('');
  await sees(anna.log.getByRole('article').filter({ hasText: 'Shipped!' }), /^🎉 1/);
  await ben.write('+👀');
  await sees(anna.log.getByRole('article').filter({ hasText: 'Shipped!' }), /^👀 1/);
  // A `+` that isn't followed by an emoji stays text.
  await ben.write('+1 for that');
  await anna.sees('+1 for that');
  await ben.write('+:nosuchemoji:');
  await anna.sees('+:nosuchemoji:');

  const trace = Array.from({ length: 60 }, (_, at) => `  at step ${at}`).join('\n');
  const paste = (text) => page.evaluate((words) => navigator.clipboard.writeText(words), text);
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await paste(trace);
  await composer.fill('What is wrong here?\n');
  await composer.press('End');
  await composer.press('ControlOrMeta+v');
  await expect(composer).toHaveValue(/at step 59/);
  await anna.expectFlawless('a long text that was pasted');
  await shoot(page, 'composer-long-text');
  await page.getByRole('button', { name: 'Send it as a file' }).click();
  await expect(composer).toHaveValue('What is wrong here?');
  await composer.press('ControlOrMeta+z');
  await expect(composer).toHaveValue(`What is wrong here?\n${trace}`);
  await composer.press('ControlOrMeta+Shift+z');
  await expect(composer).toHaveValue('What is wrong here?');
  await composer.press('Enter');
  await ben.sees('What is wrong here?');
  await expect(ben.log.getByRole('link', { name: /^Download pasted\.txt/ })).toBeVisible();

  // If the user chooses so, the long text stays in the field.
  await composer.press('ControlOrMeta+v');
  await page.getByRole('button', { name: 'Keep it as text' }).click();
  await expect(page.getByText('This message is long.')).toHaveCount(0);
  await expect(composer).toHaveValue(trace);
});

test('mentions people in plain text, not in code', async ({ arrive, register, server }) => {
  const anna = await arrive('Anna');
  const ben = await register('Ben');
  const carla = await register('Carla');
  const [annas, bens, carlas] = [await apiOf(server, anna), await apiOf(server, ben), await apiOf(server, carla)];
  const group = await annas.openGroup('Callers', bens, carlas);
  await anna.openConversation('Callers');
  await anna.write(`\`@${ben.name}\``);
  await anna.write(`> @${ben.name} said so`);
  await anna.write(`www.example.com/@${ben.name}`);
  await anna.write(`请@${ben.name}看`);
  await anna.sees('请');
  await expect(anna.log.locator('.at')).toHaveText([`@${ben.name}`]);
  const seen = async () => {
    const { own, unread } = await bens.call('GET', `/r1/conversations/${group}`);
    return { mentions: own.unread_mentions, unread };
  };
  await expect.poll(seen).toEqual({ mentions: 1, unread: 4 });

  // Names are also suggested after a word of a script without spaces.
  await anna.composer.pressSequentially(`请@${ben.name.slice(0, 3)}`);
  await expect(anna.page.getByRole('option', { name: ben.name })).toBeVisible();
});

test('mentions names with markup characters and ambiguous names', async ({ arrive, server }) => {
  const [anna, ben, carla] = [await arrive('Anna'), await arrive('Ben'), await arrive('Carla')];
  const [annas, bens, carlas] = [await apiOf(server, anna), await apiOf(server, ben), await apiOf(server, carla)];
  for (const api of [bens, carlas]) await api.call('PATCH', '/r1/users/me', { display_name: '*Star_B*' });
  const group = await annas.openGroup('Stars', bens, carlas);
  await anna.page.reload();
  await anna.openConversation('Stars');
  const mentions = async () => {
    const counts = [bens, carlas].map(async (api) => (await api.call('GET', `/r1/conversations/${group}`)).own);
    return (await Promise.all(counts)).map(({ unread_mentions }) => unread_mentions);
  };
  for (const at of [1, 0]) {
    await anna.composer.pressSequentially('@*St');
    const options = anna.page.getByRole('option', { name: '*Star_B*' });
    await expect(options).toHaveCount(2);
    // Both have the same name, so the text beside it distinguishes them.
    await expect(options.nth(at)).toContainText('Online');
    await options.nth(at).click();
    await expect(anna.composer).toHaveValue(String.raw`@\*Star_B\* `);
    await anna.composer.pressSequentially(`number ${at}`);
    // The draft keeps which of them was chosen.
    await anna.page.reload();
    await expect(anna.composer).toHaveValue(String.raw`@\*Star_B\* number ${at}`);
    await anna.composer.press('Enter');
    await expect(anna.log.getByText(`number ${at}`)).toBeVisible();
  }
  await expect(anna.log.locator('.at')).toHaveText(['@*Star_B*', '@*Star_B*']);
  await expect.poll(mentions).toEqual([1, 1]);
});

test('keeps an unsaved edit across reloads and discards it by Escape', async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  // A message can be edited once it has reached the server.
  const edits = (text) =>
    expect(async () => {
      await composer.press('ArrowUp');
      await expect(composer).toHaveValue(text, { timeout: 500 });
    }).toPass();
  await composer.fill('Lunch at twelve?');
  await composer.press('Enter');
  await anna.sees('Lunch at twelve?');
  await edits('Lunch at twelve?');
  await composer.fill('Lunch at one?');
  await page.reload();
  await anna.sees('Lunch at twelve?');
  await expect(composer).toHaveValue('');
  await edits('Lunch at one?');
  await composer.press('Enter');
  await anna.sees('Lunch at one?');
  await expect(composer).toHaveValue('');
  await edits('Lunch at one?');
  await composer.fill('No lunch');
  await composer.press('Escape');
  await expect(composer).toHaveValue('');
  await edits('Lunch at one?');
});

test('keeps the reply target with the draft', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna'), await arrive('Ben')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  await anna.write('Lunch at twelve?');
  // A message can be replied to once it has reached the server.
  await anna.sees(/^(Sent|Delivered)$/);
  const asked = anna.log.getByRole('article').filter({ hasText: 'Lunch at twelve?' });
  await asked.hover();
  await asked.getByRole('button', { name: 'Reply', exact: true }).click();
  const about = page.getByText(/^Replying to/);
  await expect(about).toBeVisible();
  await composer.fill('Or at one');
  await page.reload();
  await expect(composer).toHaveValue('Or at one');
  await expect(about).toBeVisible();
  await composer.press('Enter');
  await expect(about).toHaveCount(0);
  const answer = anna.log.getByRole('article').filter({ hasText: 'Or at one' });
  await expect(answer.getByText('Lunch at twelve?')).toBeVisible();
});

test('keeps channel links valid after a rename', async ({ arrive, server }) => {
  const [anna, ben] = [await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } }), await arrive('Ben')];
  const api = await apiOf(server, anna);
  const open = await api.call('POST', '/r1/conversations', { kind: 'public_channel', title: 'Quay three' });
  const closed = await api.call('POST', '/r1/conversations', { kind: 'private_channel', title: 'Quay secrets' });
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  await expect(page.getByRole('link', { name: 'Quay secrets' }).first()).toBeVisible();

  const channels = page.getByRole('listbox', { name: 'Channels' });
  await composer.pressSequentially('From #quay');
  await expect(channels.getByRole('option')).toHaveCount(2);
  await channels.getByRole('option', { name: 'Quay three' }).click();
  await composer.pressSequentially('to #quay');
  await channels.getByRole('option', { name: 'Quay secrets' }).click();
  await expect(composer).toHaveValue('From #Quay three to #Quay secrets ');
  await composer.press('Enter');
  await expect(anna.log.getByRole('link', { name: '#Quay secrets' })).toBeVisible();

  // Ben has joined neither channel. He may see one of them; of the other he sees the text of the link. Previews in the list show only text.
  await expect(ben.page.getByText('From #Quay three to #Quay secrets')).toBeVisible();
  await ben.openConversation(anna.name);
  await expect(ben.log.getByRole('link', { name: '#Quay three' })).toBeVisible();
  await expect(ben.log.getByText('From #Quay three to #Quay secrets')).toBeVisible();
  await expect(ben.log.getByRole('link', { name: '#Quay secrets' })).toHaveCount(0);
  await ben.expectFlawless('channels that a message names');

  // After the channel was renamed, messages and the composer show its new name.
  await api.call('PATCH', `/r1/conversations/${open.id}`, { title: 'Quay four' });
  await expect(anna.log.getByRole('link', { name: '#Quay four' })).toHaveAttribute('href', `/c/${open.id}`);
  await shoot(page, 'channel-links-1440');
  await composer.press('ArrowUp');
  await expect(composer).toHaveValue('From #Quay four to #Quay secrets');
  await composer.press('End');
  await composer.pressSequentially(', quickly');
  await composer.press('Enter');
  await expect(ben.log.getByText(', quickly')).toBeVisible();
  await ben.page.reload();
  await ben.log.getByRole('link', { name: '#Quay four' }).click();
  await expect(ben.page).toHaveURL(new RegExp(open.id));
  await expect(ben.page.locator('header.bar').getByText('Quay four')).toBeVisible();
  const { items } = await api.call('GET', '/r1/conversations');
  const chat = items.find(({ last_message }) => last_message?.content.includes('quickly'));
  expect(chat.last_message.content).toBe(
    `From [#Quay four](/c/${open.id}) to [#Quay secrets](/c/${closed.id}), quickly`
  );

  // Scheduled messages show it as well.
  await api.call('POST', `/r1/conversations/${chat.id}/messages`, {
    client_id: crypto.randomUUID(),
    content: `Soon [#Quay three](/c/${open.id})`,
    send_at: new Date(Date.now() + 3_600_000).toISOString()
  });
  const waiting = page.getByRole('article', { name: /Scheduled for/ });
  await expect(waiting.getByRole('link', { name: '#Quay four' })).toBeVisible();
  await waiting.getByRole('button', { name: 'Change' }).click();
  const dialog = page.getByRole('dialog');
  await expect(dialog.getByLabel('Message')).toHaveValue('Soon #Quay four');
  await dialog.getByLabel('Message').fill('Later #Quay four');
  await dialog.getByRole('button', { name: 'Save' }).click();
  await expect(waiting.getByText('Later')).toBeVisible();
  await expect(waiting.getByRole('link', { name: '#Quay four' })).toBeVisible();
});

test('runs slash commands', async ({ arrive }) => {
  const [anna, ben, carl] = [await arrive('Anna'), await arrive('Ben'), await arrive('Carl')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  const commands = page.getByRole('listbox', { name: 'Commands' });

  await composer.pressSequentially('/');
  await expect(commands.getByRole('option')).not.toHaveCount(0);
  await anna.expectFlawless('the commands');
  await composer.pressSequentially('sta');
  await expect(commands.getByRole('option')).toHaveCount(1);
  // Enter completes a part of a name, and runs a command that was typed whole or chosen from the list.
  const status = page.getByRole('dialog', { name: 'Your status' });
  await composer.press('Enter');
  await expect(composer).toHaveValue('/status ');
  await expect(status).toHaveCount(0);
  await composer.press('Enter');
  await expect(status).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(composer).toHaveValue('');
  await composer.pressSequentially('/sta');
  await expect(commands.getByRole('option', { selected: true })).toHaveText(/status/);
  await composer.press('ArrowDown');
  await composer.press('Enter');
  await expect(status).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(composer).toHaveValue('');
  await composer.pressSequentially('/sta');
  await commands.getByRole('option', { name: '/status' }).click();
  await expect(status).toBeVisible();
  await page.keyboard.press('Escape');
  await expect(composer).toHaveValue('');

  await composer.fill('/status 🍜 Lunch');
  await composer.press('Enter');
  await expect(page.getByText('Status updated.')).toBeVisible();
  await ben.openConversation(anna.name);
  await expect(ben.page.locator('header.bar').getByText('🍜 Lunch')).toBeVisible();

  await composer.fill('/dnd soon');
  await composer.press('Enter');
  await expect(page.getByText('Enter a time such as 30m')).toBeVisible();
  await expect(composer).toHaveValue('/dnd soon');
  await composer.fill('/dnd 30m');
  await composer.press('Enter');
  await expect(page.getByText(/^Do not disturb until/)).toBeVisible();
  await composer.fill('/mute 1h');
  await composer.press('Enter');
  await expect(page.getByText('Muted. Mentions still show.')).toBeVisible();

  // Unknown commands are sent as text, and so is an escaped slash.
  await composer.fill('/usr/bin is a folder');
  await composer.press('Enter');
  await anna.sees('/usr/bin is a folder');
  await composer.fill('/shrug No idea');
  await composer.press('Enter');
  await anna.sees('No idea ¯\\_(ツ)_/¯');
  await ben.sees('No idea ¯\\_(ツ)_/¯');

  await composer.fill('/search folder');
  await composer.press('Enter');
  await expect(page).toHaveURL(/\/search\?q=folder/);
  expect(carl.problems).toEqual([]);
});

test('formats messages by keyboard', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna', { viewport: { ...DESKTOP, width: 1440 } }), await arrive('Ben')];
  await anna.openChatWith(ben);
  const { page, composer, log } = anna;
  await expect(page.getByRole('toolbar', { name: 'Formatting' })).toBeVisible();

  // Typing reaches the composer when no field has the focus.
  await composer.blur();
  await page.keyboard.type('Ask ');
  await expect(composer).toBeFocused();
  await page.keyboard.type(`@${ben.name.slice(0, 3)}`);
  await expect(page.getByRole('option', { name: ben.name })).toBeVisible();
  await page.keyboard.press('Enter');
  await page.keyboard.press('ControlOrMeta+b');
  await page.keyboard.type('now');
  await page.keyboard.press('ControlOrMeta+b');
  await page.keyboard.type(' or ');
  await page.keyboard.press('ControlOrMeta+i');
  await page.keyboard.type('later');
  await page.keyboard.press('ControlOrMeta+i');
  await page.keyboard.press('Shift+Enter');
  await page.keyboard.type('```');
  await page.keyboard.press('Enter');
  await page.keyboard.type('tide = 6');
  const written = `Ask @${ben.name} **now** or _later_\n\`\`\`\ntide = 6\n\`\`\``;
  await expect(composer).toHaveValue(written);
  await anna.expectFlawless('a formatted text that is being written');
  await shoot(page, 'composer-formatted-1440');
  await page.keyboard.press('ControlOrMeta+z');
  await expect(composer).not.toHaveValue(written);
  await page.keyboard.press('ControlOrMeta+Shift+z');
  await expect(composer).toHaveValue(written);
  await page.keyboard.press('ControlOrMeta+Enter');
  await expect(composer).toHaveValue('');
  const article = log.getByRole('article').filter({ hasText: 'tide = 6' });
  await expect(article.locator('strong')).toHaveText('now');
  await expect(article.locator('em')).toHaveText('later');

  // Office programs paste the formatting of a copied message.
  await page.context().grantPermissions(['clipboard-read', 'clipboard-write']);
  await article.focus();
  await page.keyboard.press('c');
  await expect(page.getByText('Copied')).toBeVisible();
  const copied = await page.evaluate(async () => {
    const [item] = await navigator.clipboard.read();
    return Promise.all(['text/plain', 'text/html'].map(async (type) => (await item.getType(type)).text()));
  });
  expect(copied[0]).toBe(written);
  expect(copied[1]).toContain('<strong>now</strong> or <em>later</em>');
  await composer.focus();

  // With a selection the key of the palette makes a link.
  await page.keyboard.type('the plans');
  await page.keyboard.press('Shift+Control+ArrowLeft');
  await page.keyboard.press('ControlOrMeta+k');
  await page.keyboard.type('https://a.example/plans');
  await expect(composer).toHaveValue('the [plans](https://a.example/plans)');
  await page.keyboard.press('ControlOrMeta+k');
  await expect(page.getByRole('dialog')).toBeVisible();
});

test('formats messages on a phone', async ({ arrive }) => {
  const [anna, ben] = [await arrive('Anna', PHONE), await arrive('Ben')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  const toolbar = page.getByRole('toolbar', { name: 'Formatting' });
  await composer.fill('See tides');
  await expect(toolbar).toHaveCount(0);
  await page.getByRole('button', { name: 'Formatting' }).tap();
  await expect(toolbar).toBeVisible();
  await composer.evaluate((field) => field.setSelectionRange(4, 9));
  await toolbar.getByRole('button', { name: 'Bold' }).tap();
  await expect(composer).toHaveValue('See **tides**');
  await anna.expectFlawless('the buttons for formatting on a phone');
  await shoot(page, 'composer-formatted-390');

  // The choice is remembered on this device.
  await page.reload();
  await expect(toolbar).toBeVisible();
  await page.getByRole('button', { name: 'Formatting' }).tap();
  await expect(toolbar).toHaveCount(0);
  await shoot(page, 'composer-plain-390');
});

test('inserts an emoji at the caret', { tag: '@gate' }, async ({ arrive, register }) => {
  const [anna, ben] = [await arrive('Anna'), await register('Ben')];
  await anna.openChatWith(ben);
  const { page, composer } = anna;
  await composer.fill('Hello world');
  await composer.evaluate((field) => field.setSelectionRange(5, 5));
  // The picker is opened by keyboard from the text field.
  const button = page.getByRole('button', { name: 'Insert emoji' });
  await button.focus();
  await page.keyboard.press('Enter');
  const picker = page.getByRole('dialog', { name: 'Pick an emoji' });
  await picker.getByRole('searchbox').fill('thumbs up');
  await anna.expectFlawless('picking an emoji to write');
  await picker.getByRole('button', { name: 'thumbs up', exact: true }).click();
  await expect(picker).toHaveCount(0);
  await expect(composer).toBeFocused();
  await expect(composer).toHaveValue(/^Hello👍\uFE0F? world$/u);
  await page.keyboard.type('!');
  await expect(composer).toHaveValue(/^Hello👍\uFE0F?! world$/u);
  // Recently used emoji come first.
  await button.click();
  await expect(picker.getByRole('group').first().getByRole('button').first()).toHaveText(/^👍\uFE0F?$/u);
  await page.keyboard.press('Escape');
  await expect(picker).toHaveCount(0);
  await expect(composer).toHaveValue(/^Hello👍\uFE0F?! world$/u);
});
