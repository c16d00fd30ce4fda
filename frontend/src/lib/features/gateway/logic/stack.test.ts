import { expect, it } from 'vitest';
import { NOTHING } from './days.ts';
import { stackOf } from './stack.ts';

const day = (key: string, cost: number) => ({ ...NOTHING, key, cost });

it('splits each day by model and sums up the rest', () => {
  const days = [day('2026-11-01', 10), day('2026-11-02', 5), day('2026-11-03', 0)];
  const models = [
    { model: 'large', days: [day('2026-11-01', 7)] },
    { model: 'small', days: [day('2026-11-01', 1), day('2026-11-02', 5)] }
  ];
  expect(stackOf(days, models)).toEqual({
    models: ['large', 'small', null],
    days: [
      [7, 1, 2],
      [0, 5, 0],
      [0, 0, 0]
    ]
  });
});

it('has no rest if all models are listed', () => {
  const models = [{ model: 'small', days: [day('2026-11-01', 10)] }];
  expect(stackOf([day('2026-11-01', 10)], models)).toEqual({ models: ['small'], days: [[10]] });
});

it('is one series while the models are unknown', () => {
  expect(stackOf([day('2026-11-01', 10)], [])).toEqual({ models: [null], days: [[10]] });
});
