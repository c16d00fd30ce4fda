import { afterEach, beforeEach, expect, it, vi } from 'vitest';
import { speechChunks, languageOf, stopSpeaking, speak, toSpeech } from './speech.ts';

it('reads text without markup, code and URLs', () => {
  const text =
    '## Pool\n\n- Keep **eight** `warm` connections, see [the docs](https://a.example/x).\n\n```toml\nmin = 8\n```\n\nDone.';
  expect(toSpeech(text)).toBe('Pool\nKeep eight warm connections, see the docs.\nDone.');
});

it('reads the cells of a table and skips an unclosed code block', () => {
  expect(toSpeech('| a | b |\n|---|---|\n| 1 | 2 |')).toBe(', a , b ,\n, 1 , 2 ,');
  expect(toSpeech('Look:\n\n```js\nlet a = 1')).toBe('Look:');
});

it('splits long texts at sentences, else at words, without loss', () => {
  const text = 'One sentence here. Another one that is longer than the first. And the last';
  const pieces = speechChunks(text, 40);
  expect(pieces[0]).toBe('One sentence here.');
  expect(pieces.every((piece) => piece.length <= 40)).toBe(true);
  expect(pieces.join(' ')).toBe(text);
  expect(speechChunks('x'.repeat(90), 40).map(({ length }) => length)).toEqual([40, 40, 10]);
});

it('detects Vietnamese by its letters', () => {
  expect(languageOf('Chào buổi sáng, mọi việc ổn chứ?')).toBe('vi');
  expect(languageOf('Good morning')).toBeUndefined();
});

interface Utterance {
  text: string;
  onend?: () => void;
  onerror?: () => void;
}

const said: Utterance[] = [];

beforeEach(() => {
  said.length = 0;
  vi.stubGlobal(
    'SpeechSynthesisUtterance',
    class {
      constructor(readonly text: string) {}
    }
  );
  vi.stubGlobal('speechSynthesis', {
    speak: (utterance: Utterance) => said.push(utterance),
    cancel: () => said.splice(0).forEach(({ onerror }) => onerror?.())
  });
});
afterEach(() => vi.unstubAllGlobals());

it('reports the end once', () => {
  const ended = vi.fn();
  speak('First line.\nSecond line.', ended);
  expect(said.map(({ text }) => text)).toEqual(['First line.', 'Second line.']);
  said[1]?.onend?.();
  expect(ended).toHaveBeenCalledOnce();
  stopSpeaking();
  expect(ended).toHaveBeenCalledOnce();
});

it('ends when stopped, when another text starts, and at once for an empty text', () => {
  const [first, second, third] = [vi.fn(), vi.fn(), vi.fn()];
  speak('One.', first);
  speak('Two.', second);
  expect(first).toHaveBeenCalledOnce();
  stopSpeaking();
  expect(second).toHaveBeenCalledOnce();
  speak('```\ncode\n```', third);
  expect(third).toHaveBeenCalledOnce();
});
