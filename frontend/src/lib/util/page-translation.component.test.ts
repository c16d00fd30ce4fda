import { tick } from 'svelte';
import { expect, it, onTestFinished } from 'vitest';
import { render } from '#lib/testing/render.svelte.ts';
import { observeTranslation } from './page-translation.ts';
import Stage from '#lib/testing/changing-texts.svelte';

const GIVEN = { count: 1, words: 'Tide at six', isShown: true, items: ['a', 'b'] };

/** Replaces each text by its translation, as the translators of Chrome and Edge do. Returns a function that shows the original texts again. */
function translate(stage: Element): () => void {
  const replaced: [Text, Element][] = [];
  const walker = document.createTreeWalker(stage, NodeFilter.SHOW_TEXT);
  for (let node = walker.nextNode(); node; node = walker.nextNode()) {
    const text = node as Text;
    if (text.data.trim() === '' || text.parentElement?.closest('font')) continue;
    const font = document.createElement('font');
    font.append(document.createElement('font'));
    (font.firstChild as Element).textContent = text.data.toUpperCase();
    replaced.push([text, font]);
  }
  for (const [text, font] of replaced) text.replaceWith(font);
  return () => {
    for (const [text, font] of replaced) font.replaceWith(text);
  };
}

function open() {
  const rendered = render(Stage, GIVEN);
  onTestFinished(observeTranslation(document.body));
  return rendered;
}

const shown = (stage: Element) =>
  [...stage.querySelectorAll('p')].map(({ textContent }) => textContent?.trim()).join(' | ');

it('shows what changes after the page was translated', async () => {
  const rendered = open();
  translate(rendered.stage);
  await tick();
  expect(shown(rendered.stage)).toBe('1 NEW MESSAGES | TIDE AT SIX | TYPING… | AB');
  rendered.update({ ...GIVEN, count: 2, words: 'Tide at seven', isShown: false, items: ['b', 'c'] });
  await tick();
  await tick();
  expect(shown(rendered.stage)).toBe('2 new messages | Tide at seven |  | Bc');
  translate(rendered.stage);
  await tick();
  rendered.update({ ...GIVEN, words: '', items: [] });
  await tick();
  await tick();
  expect(shown(rendered.stage)).toBe('1 new messages |  | typing… | ');
});

it('keeps up with the app after the original was shown again', async () => {
  const rendered = open();
  const showOriginal = translate(rendered.stage);
  await tick();
  showOriginal();
  await tick();
  expect(shown(rendered.stage)).toBe('1 new messages | Tide at six | typing… | ab');
  rendered.update({ ...GIVEN, count: 3 });
  await tick();
  expect(shown(rendered.stage)).toBe('3 new messages | Tide at six | typing… | ab');
});
