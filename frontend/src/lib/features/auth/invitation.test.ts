import { expect, it } from 'vitest';
import { invitationIn, invitationPath } from './invitation.ts';

it('finds the invitation token in the target path only', () => {
  expect(invitationIn(invitationPath('a+b/c='))).toBe('a+b/c=');
  expect(invitationIn('/')).toBeNull();
  expect(invitationIn('/c/1?token=x')).toBeNull();
  expect(invitationIn('/invite')).toBeNull();
});
