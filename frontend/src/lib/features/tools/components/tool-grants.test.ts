import { expect, it } from 'vitest';
import { grantOf, withGrant } from './tool-grants.ts';

it('grants all, some or none of the tools of a server', () => {
  let grants = withGrant([], 's1', null);
  grants = withGrant(grants, 's2', ['query']);
  expect(grants).toEqual([
    { server_id: 's1', tools: null },
    { server_id: 's2', tools: ['query'] }
  ]);
  expect(grantOf(grants, 's1')?.tools).toBeNull();
  grants = withGrant(grants, 's1', undefined);
  expect(grantOf(grants, 's1')).toBeUndefined();
  // If the last tool of a server is removed, the grant for the server is removed too.
  expect(withGrant(grants, 's2', [])).toEqual([]);
});
