import { expect, it } from 'vitest';
import { previewedSites } from './preview-sites.ts';

it('finds the sites of the first links', () => {
  expect(previewedSites('See https://www.harbour.test/plans, or (http://b.test:8080).')).toEqual([
    'harbour.test',
    'b.test:8080'
  ]);
  expect(previewedSites('[plans](https://a.test) https://a.test/2 https://b.test https://c.test')).toEqual([
    'a.test',
    'b.test'
  ]);
  expect(previewedSites('nothing here, xhttps://a.test, ftp://a.test')).toEqual([]);
});

it('ignores code and incomplete links', () => {
  expect(previewedSites('`https://a.test` and https://b.test')).toEqual(['b.test']);
  expect(previewedSites('```\nhttps://a.test\n```\nhttps://b.test')).toEqual(['b.test']);
  expect(previewedSites('https://exam')).toEqual([]);
});
