import { expect, it, onTestFinished } from 'vitest';
import { markFound, rangesOf } from './mark-found.ts';

function renderLog(html: string): HTMLElement {
  const log = document.createElement('div');
  log.innerHTML = html;
  document.body.append(log);
  onTestFinished(() => log.remove());
  return log;
}

const message = (key: string, text: string) =>
  `<article data-key="${key}"><b>Tide</b><div class="prose">${text}</div></article>`;
const marked = (name: string) => [...(CSS.highlights.get(name) ?? [])].map(String);

it('finds words in the text of a message, regardless of case', () => {
  const log = renderLog(message('a', '<p>The <em>tide</em>: Tide at six, tides at noon</p>'));
  expect(rangesOf(log.firstElementChild!, ['tide']).map(String)).toEqual(['tide', 'Tide', 'tide']);
});

it('marks the words of all matches and those of the selected one, until it is stopped', async () => {
  const log = renderLog(message('a', 'Tide at six') + message('b', 'High tide') + message('c', 'No tide here'));
  const stop = markFound(log, (key) => (key === 'c' ? undefined : { words: ['tide'], isSelected: key === 'b' }));
  expect([marked('found-words'), marked('found-words-selected')]).toEqual([['Tide'], ['tide']]);
  // A message that the list renders later.
  log.insertAdjacentHTML('beforeend', message('d', 'Spring tide'));
  await expect.poll(() => marked('found-words')).toEqual(['Tide', 'tide']);
  stop();
  expect(CSS.highlights.size).toBe(0);
});
