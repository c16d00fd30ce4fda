import { expect, it } from 'vitest';
import type { GatewayModel } from '#lib/api/gateway.ts';
import { ABILITIES, definitionOf, problems, valuesOf } from './model-form.ts';

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
  source: 'admin',
  charged: null,
  price_version: ''
};

it('comes back from the form as it went in', () => {
  const { name: _name, source: _source, charged: _charged, price_version: _version, ...definition } = model;
  const abilities = ABILITIES.filter((ability) => model.capabilities[ability]);
  expect(definitionOf(valuesOf(model), model.deployments, abilities, model)).toEqual(definition);
});

it('leaves the price to the server where none is said', () => {
  expect(definitionOf(valuesOf(null), [], [], null)).toMatchObject({ price: null, aliases: [] });
});

it('takes names apart, each once', () => {
  const values = { ...valuesOf(null), aliases: ' quick,, small , quick' };
  expect(definitionOf(values, [], [], null).aliases).toEqual(['quick', 'small']);
});

it('refuses what is no price and no count', () => {
  expect([problems.input('free'), problems.context_window('1.5'), problems.name(' ')].every(Boolean)).toBe(true);
  expect([problems.input('0.25'), problems.context_window(''), problems.name('fast')].some(Boolean)).toBe(false);
});
