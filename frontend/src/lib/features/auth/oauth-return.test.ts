import { describe, expect, it } from 'vitest';
import { localPath } from './oauth-return.ts';

const own = (path: string | null) => localPath(path, 'https://chat.example');

describe('redirect after sign-in', () => {
  it('accepts paths of this site', () => {
    expect(own('/c/1?at=2#end')).toBe('/c/1?at=2#end');
    expect(own('/invite?token=a%2Fb')).toBe('/invite?token=a%2Fb');
  });

  it('rejects other sites', () => {
    for (const path of [
      null,
      '',
      'https://evil.example',
      '//evil.example',
      '/\\evil.example',
      '\\/evil.example',
      '/\t/evil.example',
      'javascript:alert(1)',
      'c/1',
      '//',
      '/\\'
    ]) {
      expect(own(path), String(path)).toBe('/');
    }
  });
});
