// Fake provider with the API of OpenAI. It streams one word at a time, when the test allows it.

import { EventEmitter, once } from 'node:events';
import { createServer } from 'node:http';

const DIMENSIONS = 64;

/** Embeddings in which texts with common words are close to each other. */
function embeddings({ input, model, encoding_format }) {
  const data = [input].flat().map((text, index) => {
    const vector = new Float32Array(DIMENSIONS);
    for (const word of String(text)
      .toLowerCase()
      .match(/\p{L}+/gu) ?? []) {
      const at = [...word].reduce((sum, sign) => (sum * 31 + sign.codePointAt(0)) % DIMENSIONS, 7);
      vector[at] += 1;
    }
    const embedding = encoding_format === 'base64' ? Buffer.from(vector.buffer).toString('base64') : [...vector];
    return { object: 'embedding', index, embedding };
  });
  return { object: 'list', model, data, usage: { prompt_tokens: 8, total_tokens: 8 } };
}

export async function startUpstream() {
  let allowed = 0;
  const released = new EventEmitter();
  const plan = [];
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    if (request.url.endsWith('/embeddings')) {
      response.writeHead(200, { 'content-type': 'application/json' });
      response.end(JSON.stringify(embeddings(JSON.parse(text))));
      return;
    }
    const asked = /"model":\s*"([^"]+)"/.exec(text)?.[1];
    const at = plan.findIndex(({ model }) => model === undefined || model === asked);
    const next = at === -1 ? { words: ['Hello', ' there.'] } : plan.splice(at, 1)[0];
    if (next.status) {
      response.writeHead(next.status, { 'content-type': 'application/json' });
      response.end(
        JSON.stringify({ error: { message: 'refused by the test', type: 'server_error', param: null, code: null } })
      );
      return;
    }
    response.writeHead(200, { 'content-type': 'text/event-stream' });
    const write = (delta, finish_reason = null) =>
      response.write(
        `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'small', choices: [{ index: 0, delta, finish_reason }] })}\n\n`
      );
    write({ role: 'assistant', content: '' });
    for (const thought of next.thoughts ?? []) write({ reasoning_content: thought });
    for (const word of next.words ?? []) {
      while (next.step && allowed === 0) await once(released, 'words');
      // A request that was aborted must not use up the words of later ones.
      if (response.destroyed) return;
      if (next.step) allowed -= 1;
      write({ content: word });
    }
    if (next.calls) {
      const tool_calls = next.calls.map(({ name, given }, index) => ({
        index,
        id: `call_${index}`,
        type: 'function',
        function: { name, arguments: JSON.stringify(given) }
      }));
      write({ tool_calls });
    }
    write({}, next.calls ? 'tool_calls' : 'stop');
    if (next.usage)
      response.write(
        `data: ${JSON.stringify({ id: 'c1', object: 'chat.completion.chunk', created: 1, model: 'small', choices: [], usage: next.usage })}\n\n`
      );
    response.end('data: [DONE]\n\n');
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  return {
    url: `http://127.0.0.1:${server.address().port}/v1`,
    /** Defines the response to the next request, or to the next one for a model. */
    next: (behaviour) => plan.push(behaviour),
    /** Allows the given number of further words. */
    release: (words) => {
      allowed += words;
      released.emit('words');
    },
    stop: () => {
      server.closeAllConnections();
      server.close();
    }
  };
}
