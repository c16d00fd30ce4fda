import { expect, it } from 'vitest';
import type { GatewayModel } from '../api.ts';
import { definitionOf, pickedOf, problems, thinkingProblem, valuesOf } from './model-form.ts';

const model: GatewayModel = {
  name: 'fast',
  aliases: ['quick', 'small'],
  deployments: [{ provider: 'fake', model: 'tiny-1', weight: 1, priority: 0 }],
  fallbacks: { context_length: ['large'], content_policy: [], failure: ['other'] },
  price: { input: 250_000, output: 2_000_000, cached: 25_000, cache_write: 300_000 },
  capabilities: {
    context_window: 128_000,
    max_output: null,
    images: true,
    pdf: true,
    audio: false,
    tools: true,
    json_schema: false,
    reasoning: false
  },
  parameters: { thinking: 'efforts:low,high', sampling: 'resting', thoughts: null, accepts: 'system=first images=no' },
  source: 'admin',
  charged: null,
  price_version: ''
};

it('survives a round trip through the form', () => {
  const { name: _name, source: _source, charged: _charged, price_version: _version, ...definition } = model;
  expect(definitionOf(valuesOf(model), model.deployments, pickedOf(model), model)).toEqual(definition);
});

it('keeps the thinking mode of a model', () => {
  for (const thinking of [
    null,
    'none',
    'any',
    'levels:low',
    'budget:0..24576',
    'budget:512..24576,off',
    'budget:1024..'
  ]) {
    const one = { ...model, parameters: { thinking, sampling: null, thoughts: null, accepts: null } };
    expect(definitionOf(valuesOf(one), [], pickedOf(one), one).parameters.thinking).toBe(thinking);
  }
});

it('requires only the fields of the thinking mode', () => {
  const values = { ...valuesOf(null), efforts: 'low, enormous', least: '9', most: '8' };
  expect(thinkingProblem('none', 'efforts', values) ?? thinkingProblem('any', 'most', values)).toBeUndefined();
  expect(thinkingProblem('efforts', 'efforts', values)).toBeDefined();
  expect(thinkingProblem('efforts', 'efforts', { ...values, efforts: 'low, max' })).toBeUndefined();
  expect(thinkingProblem('levels', 'efforts', valuesOf(null))).toBeDefined();
  expect(thinkingProblem('budget', 'least', valuesOf(null))).toBeDefined();
  expect(thinkingProblem('budget', 'most', values)).toBeDefined();
  expect(thinkingProblem('budget_off', 'most', { ...values, most: '' })).toBeUndefined();
});

it('leaves an empty price to the server', () => {
  expect(definitionOf(valuesOf(null), [], pickedOf(null), null)).toMatchObject({ price: null, aliases: [] });
});

it('splits aliases and drops duplicates', () => {
  const values = { ...valuesOf(null), aliases: ' quick,, small , quick' };
  expect(definitionOf(values, [], pickedOf(null), null).aliases).toEqual(['quick', 'small']);
});

it('rejects invalid prices and counts', () => {
  expect([problems.input('free'), problems.context_window('1.5'), problems.name(' ')].every(Boolean)).toBe(true);
  expect([problems.input('0.25'), problems.context_window(''), problems.name('fast')].some(Boolean)).toBe(false);
});
