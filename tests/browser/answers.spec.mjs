// Answers of assistants: reading aloud, regeneration, comparison, details and artifacts.

import { expect, PHONE, test } from './people.mjs';

/** Replaces the voices of the browser by silent ones that never finish. */
const silentVoices = () => {
  const said = [];
  window.SpeechSynthesisUtterance = class {
    constructor(text) {
      this.text = text;
    }
  };
  Object.defineProperty(window, 'speechSynthesis', {
    value: {
      said,
      speak: (utterance) => said.push(utterance),
      cancel: () => said.splice(0).forEach((utterance) => utterance.onerror?.())
    }
  });
};

const spoken = (page) => page.evaluate(() => window.speechSynthesis.said.map(({ text }) => text));

test('reads an answer aloud until it is stopped', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await page.addInitScript(silentVoices);
  await page.reload();
  await anna.openAssistant();
  upstream.next({ words: ['**Eight**', ' connections.'] });
  await anna.write('How many?');
  await anna.sees('connections.');
  await page.getByRole('button', { name: 'Read aloud' }).click();
  await expect.poll(() => spoken(page)).toEqual(['Eight connections.']);
  // The button that stops it is visible although the pointer isn't over the message.
  await anna.composer.hover();
  await anna.expectFlawless('an answer that is read aloud');
  await page.getByRole('button', { name: 'Stop reading' }).click();
  await expect.poll(() => spoken(page)).toEqual([]);
  await expect(page.getByRole('button', { name: 'Read aloud' })).toBeVisible();
  // Leaving the page stops the voice.
  await page.getByRole('button', { name: 'Read aloud' }).click();
  await expect.poll(() => spoken(page)).toHaveLength(1);
  await page.getByRole('link', { name: 'Chats' }).first().click();
  await expect.poll(() => spoken(page)).toHaveLength(0);
});

test('shows reasoning while it streams without moving it', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  await anna.openAssistant();
  upstream.next({ thoughts: ['Let me count', ' them.'], words: ['Eight', ' connections.'], step: true });
  await anna.write('How many?');
  const thoughts = anna.log.locator('details').filter({ hasText: 'Thinking' });
  await thoughts.locator('summary').click();
  await expect(anna.log.getByText('Let me count them.')).toBeVisible();
  await anna.expectFlawless('thoughts while they are thought');
  await thoughts.locator('summary').click();
  await expect(anna.log.getByText('Let me count them.')).toBeHidden();

  upstream.release(1);
  const thought = anna.log.locator('details').filter({ hasText: 'Thought for' });
  const word = anna.log.getByText('Eight');
  await expect(thought).toBeVisible();
  await expect(word).toBeVisible();
  const gap = async () => {
    const [above, below] = [await thought.boundingBox(), await word.boundingBox()];
    return Math.round(below.y - above.y);
  };
  const before = await gap();
  upstream.release(1);
  await anna.sees('Eight connections.');
  await expect(anna.log.getByRole('button', { name: 'Stop' })).toHaveCount(0);
  expect(await gap()).toBe(before);
  await thought.locator('summary').click();
  await expect(anna.log.getByText('Let me count them.')).toBeVisible();
});

/**
 * Adds up layout shifts (Layout Instability API). Browsers mark shifts within half a second after an input, so that they can be ignored. A fast
 * machine completes a whole answer in that time, so these shifts are counted too while an answer streams.
 */
const watchShifts = () => {
  window.shifted = { sum: 0, by: [] };
  new PerformanceObserver((list) => {
    for (const { value, hadRecentInput, sources } of list.getEntries()) {
      if (hadRecentInput && !window.shifted.isAnswering) continue;
      window.shifted.sum += value;
      window.shifted.by.push(...sources.map(({ node }) => node?.outerHTML?.slice(0, 120)));
    }
  }).observe({ type: 'layout-shift', buffered: true });
};

for (const [size, options] of [
  ['a large screen', {}],
  ['a phone', PHONE]
])
  test(`causes no layout shift while an answer streams or its chat opens, on ${size}`, async ({ arrive, upstream }) => {
    const anna = await arrive('Anna', options);
    const { page } = anna;
    const expectStill = async (what) => {
      const { sum, by } = await page.evaluate(() => window.shifted);
      expect.soft(sum, `${what}: ${by.join('\n')}`).toBeLessThan(0.05);
    };
    await page.addInitScript(watchShifts);
    await anna.openAssistant();
    await anna.write('Is anybody here?');
    await expect(anna.log.getByRole('toolbar', { name: 'Message actions' }).last()).toBeAttached();
    await page.reload();
    await anna.sees('Is anybody here?');
    await expect(anna.composer).toBeVisible();
    await page.waitForLoadState('networkidle');
    await expectStill('a chat that is opened');

    const words = Array.from({ length: 60 }, (_, at) => `${at % 12 === 11 ? '\n\n' : ' '}word${at}`);
    upstream.next({ thoughts: ['Let me count', ' them.'], words, step: true });
    await anna.write('How many?');
    await expect(anna.log.locator('details').filter({ hasText: 'Thinking' })).toBeVisible();
    await page.evaluate(() => (window.shifted = { sum: 0, by: [], isAnswering: true }));
    for (const last of [19, 39, 59]) {
      upstream.release(20);
      await expect(anna.log.getByText(`word${last}`).last()).toBeVisible();
    }
    await expect(anna.log.getByRole('button', { name: 'Stop' })).toHaveCount(0);
    await expectStill('an answer that comes');
  });

test('compares two models and continues with the chosen one', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await anna.openAssistant();
  upstream.next({ words: ['Small', ' words.'] });
  await anna.write('Say something');
  await anna.sees('Small words.');
  const compare = async (words) => {
    const answer = anna.log.getByRole('article').last();
    await answer.hover();
    await answer.getByRole('button', { name: 'More actions' }).click();
    upstream.next({ words });
    await page.getByRole('menuitem', { name: 'Compare with another model' }).click();
    const picker = page.getByRole('dialog', { name: 'Compare with another model' });
    await expect(picker.getByRole('option').first()).toBeVisible();
    await picker.getByRole('combobox').fill('large');
    await page.keyboard.press('Enter');
  };
  await compare(['Large', ' words.']);
  const sides = page.getByRole('dialog', { name: 'Compare answers' });
  await expect(sides.getByText('Small words.')).toBeVisible();
  const large = sides.getByRole('region', { name: 'large' });
  await expect(large.getByText('Large words.')).toBeVisible();
  await expect(large.getByRole('button', { name: 'Continue with this answer' })).toBeEnabled();
  await anna.expectFlawless('two answers');
  await sides.getByRole('button', { name: 'Continue with this answer' }).first().click();
  await expect(sides).toHaveCount(0);
  await anna.sees('Small words.');
  const versions = anna.log.getByRole('group', { name: 'Versions' });
  await expect(versions).toContainText('1 of 2');
  await versions.getByRole('button', { name: 'Next version' }).click();
  await anna.sees('Large words.');
});

test('asks two models in parallel', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await anna.openAssistant();
  await page.getByRole('button', { name: 'Ask another model as well' }).click();
  const picker = page.getByRole('dialog', { name: 'Ask another model as well' });
  await expect(picker.getByRole('option').first()).toBeVisible();
  await picker.getByRole('combobox').fill('large');
  await page.keyboard.press('Enter');
  await expect(page.getByRole('button', { name: 'large will also answer your next question.' })).toBeVisible();
  upstream.next({ model: 'small', words: ['Small', ' words', ' without', ' end.'], step: true });
  upstream.next({ model: 'large', words: ['Large', ' words.'] });
  await anna.write('Say something');
  const sides = page.getByRole('dialog', { name: 'Compare answers' });
  const small = sides.getByRole('region', { name: 'small' });
  const large = sides.getByRole('region', { name: 'large' });
  await expect(large.getByText('Large words.')).toBeVisible();
  await expect(small.getByText('Waiting for the answer…')).toBeVisible();
  upstream.release(2);
  await expect(small.getByText('Small words')).toBeVisible();
  await expect(small.getByRole('button', { name: 'Stop' })).toBeVisible();
  // Choosing an answer ends the comparison.
  await large.getByRole('button', { name: 'Continue with this answer' }).click();
  await expect(sides).toHaveCount(0);
  await anna.sees('Large words.');
  const versions = anna.log.getByRole('group', { name: 'Versions' });
  await expect(versions).toContainText('2 of 2');
  await expect(page.getByRole('button', { name: 'Ask another model as well' })).toBeVisible();
  await versions.getByRole('button', { name: 'Previous version' }).click();
  await anna.sees('Small words');
});

test('regenerates an answer with another model and continues with it', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await anna.openAssistant();
  upstream.next({ words: ['Small', ' words.'] });
  await anna.write('Say something');
  await anna.sees('Small words.');
  upstream.next({ words: ['Large', ' words.'] });
  await page.getByRole('button', { name: 'Regenerate with another model' }).click();
  const picker = page.getByRole('dialog', {
    name: 'Regenerate with another model'
  });
  await expect(picker.getByRole('option').first()).toBeVisible();
  await anna.expectFlawless('models');
  await picker.getByRole('combobox').fill('large');
  await page.keyboard.press('Enter');
  await anna.sees('Large words.');
  const answer = anna.log.getByRole('article').last();
  await expect(answer).toContainText('large');
  await expect(anna.log.getByRole('group', { name: 'Versions' })).toContainText('2 of 2');

  await page.getByRole('button', { name: /^Model: / }).click();
  const chooser = page.getByRole('dialog', { name: 'Choose a model' });
  await chooser.getByRole('option', { name: 'large' }).click();
  await expect(page.getByRole('button', { name: 'Model: large' })).toBeVisible();
  upstream.next({ words: ['Still', ' large.'] });
  await anna.write('And now?');
  await anna.sees('Still large.');
  await expect(anna.log.getByRole('article').last()).toContainText('large');
  await page.reload();
  await expect(page.getByRole('button', { name: 'Model: large' })).toBeVisible();
});

test('shows the cost of an answer on all screen sizes', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna', PHONE);
  const { page } = anna;
  await anna.openAssistant();
  upstream.next({
    words: ['Eight.'],
    usage: { prompt_tokens: 1200, completion_tokens: 34, total_tokens: 1234 }
  });
  await anna.write('How many?');
  await anna.sees('Eight.');
  const details = page.getByTitle('Answer details');
  await details.click();
  const facts = page.getByRole('region', { name: 'Answer details' });
  await expect(facts).toContainText('1,200 tokens');
  await expect(facts).toContainText('34 tokens');
  await anna.expectFlawless('the details of an answer');
  await details.click();
  await expect(facts).toHaveCount(0);
});

test('opens an HTML artifact in a sandbox without network', async ({ arrive, upstream }) => {
  const anna = await arrive('Anna');
  const { page } = anna;
  await anna.openAssistant();
  const written = (text) => `Here it is:\n\n\`\`\`html
<!doctype html><title>Menu</title><h1>${text}</h1><p>waiting</p><script>
const reached = [];
try { void parent.document.title; reached.push('page'); } catch {}
try { void localStorage.length; reached.push('storage'); } catch {}
fetch('/health', { mode: 'no-cors' })
  .then(() => reached.push('network'), () => undefined)
  .then(() => (document.querySelector('p').textContent = 'Reached: ' + (reached.join() || 'nothing')));
</script>
\`\`\`
`;
  upstream.next({ words: [written('Monday')] });
  await anna.write('A menu, please.');
  await anna.log.getByRole('button', { name: 'Open', exact: true }).click();
  const panel = page.getByRole('complementary', { name: 'Menu' });
  const frame = panel.frameLocator('iframe');
  await expect(frame.getByRole('heading', { name: 'Monday' })).toBeVisible();
  await expect(frame.getByText('Reached: nothing')).toBeVisible();

  // An answer that comes later becomes another version.
  upstream.next({ words: [written('Tuesday')] });
  await anna.write('And for Tuesday?');
  await expect(panel.getByText('1 of 2')).toBeVisible();
  await panel.getByRole('button', { name: 'Next version' }).click();
  await expect(frame.getByRole('heading', { name: 'Tuesday' })).toBeVisible();
  await panel.getByRole('button', { name: 'Code', exact: true }).click();
  await expect(panel.getByText('<h1>Tuesday</h1>')).toBeVisible();
  await anna.expectFlawless('what an answer has made');
  const download = page.waitForEvent('download');
  await panel.getByRole('button', { name: 'Download' }).click();
  expect((await download).suggestedFilename()).toBe('menu.html');
  await panel.getByRole('button', { name: 'Close' }).click();
  await expect(panel).toHaveCount(0);
});
