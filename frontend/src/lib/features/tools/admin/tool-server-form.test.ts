import { expect, it } from 'vitest';
import { secretsOf, urlProblem } from './tool-server-form.ts';

it('accepts web URLs only', () => {
  expect(urlProblem(' https://tools.example.org/mcp ')).toBeUndefined();
  expect(urlProblem('http://localhost:3000')).toBeUndefined();
  for (const odd of ['', 'tools.example.org', 'file:///etc/passwd', 'javascript:alert(1)'])
    expect(urlProblem(odd)).toBeTypeOf('string');
});

it('sends changed secrets only', () => {
  const kept = { name: 'Authorization', value: '', isKept: true };
  expect(secretsOf([kept], ['Authorization'])).toEqual({});
  expect(secretsOf([{ ...kept, value: 'Bearer b' }], ['Authorization'])).toEqual({ Authorization: 'Bearer b' });
  expect(secretsOf([], ['Authorization'])).toEqual({ Authorization: null });
  expect(secretsOf([kept, { name: ' X-Team ', value: 'a', isKept: false }], ['Authorization'])).toEqual({
    'X-Team': 'a'
  });
  expect(secretsOf([{ name: '', value: '', isKept: false }], [])).toEqual({});
});
