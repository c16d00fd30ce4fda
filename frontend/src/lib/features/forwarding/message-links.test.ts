import { describe, expect, it } from 'vitest';
import { parse } from '#lib/features/markdown/parse.ts';
import { linkedIn, messageAt } from './message-links.ts';

const HERE = 'https://chat.example';
const id = (n: number) => `018f0000-0000-7000-8000-00000000000${n}`;
const link = (n: number) => `${HERE}/c/${id(0)}/m/${id(n)}`;

describe('message links', () => {
  it('point to a message of this installation', () => {
    const message = { conversation_id: id(0), message_id: id(1) };
    expect(messageAt(link(1), HERE)).toEqual(message);
    expect(messageAt(`${link(1).toUpperCase().replace('HTTPS://CHAT.EXAMPLE', HERE)}/`, HERE)).toEqual(message);
    expect(messageAt(`${HERE}:443/c/${id(0)}/m/${id(1)}?from=mail`, HERE)).toEqual(message);
  });

  it.each([
    ['links to another site', link(1).replace('chat.', 'chit.')],
    ['links to another port', link(1).replace('example', 'example:8443')],
    ['links with another scheme', link(1).replace('https', 'http')],
    ['a URL with a user name', link(1).replace('chat.example', 'chat.example@evil.example')],
    ['a conversation link', `${HERE}/c/${id(0)}`],
    ['a longer path', `${link(1)}/more`],
    ['a path prefix', `${HERE}/x/c/${id(0)}/m/${id(1)}`],
    ['an invalid id', `${HERE}/c/new/m/1`],
    ['a mail address', 'mailto:a@chat.example'],
    ['a relative path', 'c/m']
  ])('exclude %s', (_, href) => {
    expect(messageAt(href, HERE)).toBeNull();
  });

  it('are found in a text, once each and at most three', () => {
    const found = (text: string) => linkedIn(parse(text), HERE).map(({ message_id }) => message_id);
    expect(found(`See ${link(1)}, **[there](${link(2)})** and ${link(1)}.`)).toEqual([id(1), id(2)]);
    expect(found(`- ${link(3)}\n\n| a |\n| - |\n| ${link(4)} |`)).toEqual([id(3), id(4)]);
    expect(found([1, 2, 3, 4].map(link).join(' '))).toEqual([id(1), id(2), id(3)]);
    expect(found(`\`${link(1)}\`\n\n> ${link(2)}\n\n\`\`\`\n${link(3)}\n\`\`\``)).toEqual([]);
    expect(found('nothing at /m/ all')).toEqual([]);
  });
});
