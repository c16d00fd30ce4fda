// Fake MCP server.

import { createServer } from 'node:http';

const TOOLS = [
  {
    name: 'find_issues',
    title: 'Find issues',
    description: 'Finds issues by words.',
    inputSchema: { type: 'object', properties: { query: { type: 'string' } } },
    annotations: { readOnlyHint: true }
  },
  {
    name: 'close_issue',
    title: 'Close an issue',
    description: 'Closes an issue for good.',
    inputSchema: {
      type: 'object',
      properties: {
        number: { type: 'integer', title: 'Number', minimum: 1 },
        comment: { type: 'string', title: 'Comment' }
      },
      required: ['number']
    }
  }
];

/** Starts an MCP server that answers at once. */
export async function startTools() {
  const called = [];
  const given = [];
  const answers = {
    initialize: ({ protocolVersion }) => ({
      protocolVersion,
      capabilities: { tools: {}, prompts: {} },
      serverInfo: { name: 'forge', version: '1' }
    }),
    'tools/list': () => ({ tools: TOOLS }),
    'prompts/list': () => ({
      prompts: [
        {
          name: 'triage',
          title: 'Triage an issue',
          description: 'Says what is to be done about an issue.',
          arguments: [
            { name: 'number', required: true },
            { name: 'team', required: false }
          ]
        }
      ]
    }),
    'prompts/get': ({ arguments: handed }) => ({
      messages: [{ role: 'user', content: { type: 'text', text: `What is to be done about issue ${handed.number}?` } }]
    }),
    'tools/call': ({ name, arguments: handed }) => {
      called.push(name);
      given.push(handed);
      return { content: [{ type: 'text', text: `${name} has worked` }] };
    }
  };
  const server = createServer(async (request, response) => {
    let text = '';
    for await (const piece of request) text += piece;
    if (request.method !== 'POST') return response.writeHead(405).end();
    const { id, method, params } = JSON.parse(text);
    if (id === undefined) return response.writeHead(202).end();
    response.writeHead(200, { 'content-type': 'application/json' });
    response.end(JSON.stringify({ jsonrpc: '2.0', id, result: answers[method]?.(params ?? {}) ?? {} }));
  });
  await new Promise((resolve) => server.listen(0, '127.0.0.1', resolve));
  const stop = () => {
    server.closeAllConnections();
    server.close();
  };
  return { url: `http://127.0.0.1:${server.address().port}/mcp`, called, given, stop };
}
