// What is put into a message is read in its own direction (`src/lib/isolate.ts`): names from right to left leave the sentence as it is. Here,
// because the messages' compiler has no place for it; those in tables of words do it where they are looked up (`words.mjs`).
import { join } from 'node:path';

const SRC = join(import.meta.dirname, '../src');
const MESSAGES = join(SRC, 'lib/paraglide/messages/');
const TAKES = '((inputs, options = {}) => {';

/** For code: how the function that does it is brought. */
export const ISOLATING = `import { isolatedIn } from '${join(SRC, 'lib/isolate.ts')}';`;

export function isolate() {
  return {
    name: 'natter:isolate',
    transform(code, id) {
      // A message that is given nothing has a default in this place.
      if (!id.startsWith(MESSAGES) || !code.includes(TAKES)) return null;
      return { code: `${ISOLATING}\n${code.replace(TAKES, `${TAKES} inputs = isolatedIn(inputs);`)}`, map: null };
    }
  };
}
