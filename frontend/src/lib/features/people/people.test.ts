import { describe, expect, it, vi } from 'vitest';
import { PeopleStore } from './people.svelte.ts';

describe('PeopleStore', () => {
  it('keeps names by conversation', () => {
    const people = new PeopleStore({ get: vi.fn() });
    people.add('c1', { id: 'mai', name: 'Mai' });
    people.add('c1', { id: 'mai', name: 'Mai Trần' });
    expect(people.in('c1')).toEqual([{ id: 'mai', name: 'Mai Trần' }]);
    expect([people.nameOf('c2', 'mai'), people.in('c2')]).toEqual([undefined, []]);
  });

  it('renames known people on events', () => {
    const people = new PeopleStore({ get: vi.fn() });
    people.add('c1', { id: 'mai', name: 'Mai' });
    people.add('c2', { id: 'jo', name: 'Jonas' });
    people.applyChange({ user_id: 'mai', display_name: 'Mai Trần', picture: null, deleted: false });
    expect([people.in('c1'), people.in('c2')]).toEqual([
      [{ id: 'mai', name: 'Mai Trần' }],
      [{ id: 'jo', name: 'Jonas' }]
    ]);
  });

  it('loads a name once, and again after a failure', async () => {
    const get = vi.fn().mockRejectedValueOnce(new Error('away')).mockResolvedValue({ display_name: 'Jonas' });
    const people = new PeopleStore({ get });
    await people.find('c1', 'jo');
    await Promise.all([people.find('c1', 'jo'), people.find('c1', 'jo')]);
    expect(get.mock.calls).toEqual([['/users/jo'], ['/users/jo']]);
    expect(people.nameOf('c1', 'jo')).toBe('Jonas');
    await people.find('c1', 'jo');
    expect(get).toHaveBeenCalledTimes(2);
  });

  it('searches on the server', async () => {
    const get = vi.fn().mockResolvedValue({ items: [{ user_id: 'jo', display_name: 'Jonas' }] });
    expect(await new PeopleStore({ get }).search('c1', 'jon', 6)).toEqual([{ id: 'jo', name: 'Jonas' }]);
    expect(get).toHaveBeenCalledWith('/conversations/c1/members', { q: 'jon', page_size: 6 });
  });
});
