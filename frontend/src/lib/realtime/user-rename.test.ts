import { describe, expect, it } from 'vitest';
import { renameUser } from './user-rename.ts';

const anna = { user_id: 'anna', display_name: 'Anna Bell', picture: null, deleted: false };

const told = () => ({
  message: { sender: { kind: 'user', id: 'anna', name: 'Anna' }, content: 'Anna' },
  quoted: { sender: { kind: 'user', id: 'ben', name: 'Anna' } },
  assistant: { kind: 'assistant', id: 'anna', name: 'Anna' },
  members: [
    { user_id: 'anna', display_name: 'Anna' },
    { user_id: 'ben', display_name: 'Ben' }
  ],
  user: { id: 'anna', display_name: 'Anna' },
  assignees: [{ id: 'anna', name: 'Anna' }]
});

describe('renamed', () => {
  it('renames a person everywhere and nobody else', () => {
    expect(renameUser(told(), anna)).toEqual({
      ...told(),
      message: { sender: { kind: 'user', id: 'anna', name: 'Anna Bell' }, content: 'Anna' },
      members: [
        { user_id: 'anna', display_name: 'Anna Bell' },
        { user_id: 'ben', display_name: 'Ben' }
      ],
      user: { id: 'anna', display_name: 'Anna Bell' },
      assignees: [{ id: 'anna', name: 'Anna Bell' }]
    });
  });

  it('keeps objects that need no change', () => {
    const before = told();
    const after = renameUser(before, anna);
    expect([after.quoted, after.members[1]]).toEqual([before.quoted, before.members[1]]);
    expect(after.quoted).toBe(before.quoted);
    expect(after.members[1]).toBe(before.members[1]);
    expect(renameUser(after, anna)).toBe(after);
  });

  it('shows a deleted account as deleted user', () => {
    const { message, members, assignees } = renameUser(told(), {
      ...anna,
      display_name: 'Deleted user',
      deleted: true
    });
    expect(message.sender).toEqual({ kind: 'deleted', id: null, name: 'Deleted user' });
    expect(members[0]).toEqual({ user_id: 'anna', display_name: 'Deleted user' });
    expect(assignees).toEqual([{ id: 'anna', name: 'Deleted user' }]);
  });
});
