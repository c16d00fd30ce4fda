import type { UserChanged } from '#lib/api/types.ts';

type ServerData = Record<string, unknown>;

/** Replaces the display name of a user in data of the server. Returns the same object if the user doesn't occur in it. */
export function renameUser<T>(known: T, who: UserChanged): T {
  if (typeof known !== 'object' || known === null) return known;
  const changes: ServerData = nameIn(known as ServerData, who);
  for (const [key, value] of Object.entries(known)) {
    const now = renameUser<unknown>(value, who);
    if (now !== value) changes[key] = now;
  }
  if (Object.keys(changes).length === 0) return known;
  return Object.assign(Array.isArray(known) ? [...known] : { ...known }, changes) as T;
}

function nameIn(known: ServerData, { user_id, display_name, deleted }: UserChanged): ServerData {
  const { kind } = known;
  if (known.id === user_id && (kind === 'user' || kind === undefined) && typeof known.name === 'string') {
    if (deleted && kind) return { kind: 'deleted', id: null, name: display_name };
    return known.name === display_name ? {} : { name: display_name };
  }
  const isTheirs = known.user_id === user_id || known.id === user_id;
  const isOther = typeof known.display_name === 'string' && known.display_name !== display_name;
  return isTheirs && isOther ? { display_name } : {};
}
